// What deleting instances comes to, as it is asked: an adopted one loses its definition only.
import type { Instance } from '@virga/contract/rest/instances';

export function deleteQuestion(instances: readonly Instance[]): string {
  const names = instances.map(({ name }) => name).join(', ');
  const adopted = instances.filter(({ origin }) => origin === 'adopted');
  if (adopted.length === 0) {
    return instances.length === 1
      ? `Delete instance ${names} with its disk?`
      : `Delete ${instances.length} instances (${names}) with their disks?`;
  }
  const many = instances.length > 1;
  const which = many
    ? `Of ${adopted.map(({ name }) => name).join(', ')}, which were adopted, only the definitions go:`
    : '';
  const what = many ? `${instances.length} instances (${names}) with their disks` : `the adopted instance ${names}`;
  const rest = many
    ? `${which} their files stay where they are.`
    : 'Its domain is undefined, and its files stay where they are.';
  return `Delete ${what}? ${rest}`;
}
