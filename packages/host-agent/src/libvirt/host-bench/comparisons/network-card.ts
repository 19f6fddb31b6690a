// A paravirtual network card against one that is emulated in full: virtio against e1000, both cards of one guest, to another
// guest whose card is virtio.
import { iperfBitsPerSecond } from '../../../host-bench/guest-output.ts';
import type { BenchGuest } from '../bench-guest.ts';
import type { Comparison } from './comparison.ts';

const memoryMib = 192;
const emulated = 'emulated (e1000)';
const server = '10.0.0.1';

export const networkCard: Comparison = {
  title: 'virtio against an emulated network card',
  async prepare(world) {
    const far = await world.start({ vcpus: 1, memoryMib, cards: ['virtio'] });
    const near = await world.start({ vcpus: 1, memoryMib, cards: ['virtio', 'e1000'] });
    await Promise.all([far.booted(), near.booted()]);
    await giveAddress(far, 'virtio_net', `${server}/24`);
    await far.run('iperf3 --server --daemon');
    return {
      settings: [emulated, 'virtio'],
      metrics: [
        { name: 'sent by the guest', unit: 'Mbit/s', better: 'higher' },
        { name: 'received by the guest', unit: 'Mbit/s', better: 'higher' },
      ],
      conditions: ['iperf3 over one TCP connection to another guest of the host, whose card is virtio.'],
      async measure(setting) {
        const [driver, address] = setting === emulated ? ['e1000', '10.0.0.2'] : ['virtio_net', '10.0.0.3'];
        const card = await giveAddress(near, driver!, `${address}/24`);
        const figures: number[] = [];
        for (const direction of ['', ' --reverse']) {
          const line = `iperf3 --client ${server} --bind ${address} --time ${world.seconds} --json${direction}`;
          figures.push(iperfBitsPerSecond(await near.run(line, world.seconds * 1000)) / 1e6);
        }
        await near.run(`ip addr flush dev ${card} && ip link set ${card} down`);
        return figures;
      },
    };
  },
};

/** Brings up the card of that driver with this address. @returns its name */
async function giveAddress(guest: BenchGuest, driver: string, address: string): Promise<string> {
  const output = await guest.run(
    `for card in /sys/class/net/eth*; do case $(readlink -f $card/device/driver) in */${driver}) name=\${card##*/};; esac; done; ` +
      `ip addr flush dev $name; ip link set $name up && ip addr add ${address} dev $name && echo $name`,
  );
  return output.trim();
}
