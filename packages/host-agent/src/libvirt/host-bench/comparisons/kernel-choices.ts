// A file of the kernel that offers choices with one in force, such as `always [madvise] never`. Pure.

export type Choices = { chosen: string; available: string[] };

export function choicesOf(text: string | undefined): Choices | undefined {
  const words = text?.trim().split(/\s+/) ?? [];
  const chosen = words.find((word) => word.startsWith('['))?.slice(1, -1);
  return chosen === undefined ? undefined : { chosen, available: words.map((word) => word.replace(/[[\]]/g, '')) };
}
