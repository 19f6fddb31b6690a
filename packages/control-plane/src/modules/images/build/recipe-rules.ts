// What a recipe may not say, beyond its shape: refused before anything is begun.
import { type ImageRecipe, packagesOf } from '@virga/contract/agent/image-recipe';
import { VirgaError } from '@virga/contract/errors';

/** A kernel, its drivers and an initial RAM disk have to fit beside the system. */
const smallestBootableMib = 768;
/** A package list as it is on a command line. */
const mostPackageCharacters = 60_000;

/** @throws InvalidArgument */
export function checkRecipe(recipe: ImageRecipe): void {
  const { base, boot = 'both', sizeMib, files = [] } = recipe;
  if (base.variant === 'extract' && boot !== 'none') {
    throw refused(
      '/recipe/boot',
      'The variant extract configures no package, so it has no kernel to boot.',
      'Say boot: none, or take another variant.',
    );
  }
  if (boot !== 'none' && sizeMib < smallestBootableMib) {
    throw refused(
      '/recipe/sizeMib',
      `An image that boots needs at least ${smallestBootableMib} MiB.`,
      'Make it larger, or say boot: none.',
    );
  }
  if (base.snapshot && base.distribution !== 'debian' && !base.mirror) {
    throw refused(
      '/recipe/base/snapshot',
      `There is no archive of snapshots of ${base.distribution} that is known here.`,
      'Name a mirror that has one.',
    );
  }
  const seen = new Set<string>();
  for (const [index, { path }] of files.entries()) {
    const field = `/recipe/files/${index}/path`;
    if (path.split('/').some((part) => part === '.' || part === '..')) {
      throw refused(field, `The path ${path} goes up or stays where it is.`, 'Write it without . and ..');
    }
    if (seen.has(path)) throw refused(field, `The file ${path} is written twice.`, 'Write it once.');
    seen.add(path);
  }
  if (packagesOf(recipe).join(',').length > mostPackageCharacters) {
    throw refused('/recipe/packages', 'The names of the packages are too long together.', 'Name fewer.');
  }
}

const refused = (field: string, detail: string, action: string) =>
  new VirgaError('InvalidArgument', { field, detail, action });
