// Which version and build of Virga this is. The build is put in by the bundler; from source there is none.
import packageJson from '../package.json' with { type: 'json' };

export const version: string = packageJson.version;

/** Hash of the sources that the bundle was made from; undefined when running from source. */
export const buildId: string | undefined = process.env.VIRGA_BUILD_ID;
