// What a VNC client sees that connects: the screen as the server describes it, and one picture of it.
import type { Duplex } from 'node:stream';
import { RfbClient, type RfbRectangle, type RfbScreen } from '@virga/host-agent/contract-suite/rfb-client';

/** Shakes hands, asks for a picture, and hangs up. @throws AssertionError it is no VNC server without a password */
export async function seenScreen(stream: Duplex): Promise<RfbScreen & { picture: RfbRectangle }> {
  const client = new RfbClient(stream);
  const screen = await client.connect();
  const picture = await client.picture(screen);
  stream.destroy();
  return { ...screen, picture };
}
