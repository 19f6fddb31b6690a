// What is refused of backups on any host.
import { VirgaError } from '@virga/contract/errors';

export const nothingThere = (path: string) =>
  new VirgaError('NotFound', {
    detail: `There is no file and no folder ${path} in the backup.`,
    action: 'Look at the folder above it.',
    field: '/path',
  });
