// The version that `virga --version` prints when the executable does not name its own.
import packageJson from '../package.json' with { type: 'json' };

export const packageVersion: string = packageJson.version;
