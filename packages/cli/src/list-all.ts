// Lists come in pages; this walks them.

type PageOf<T> = { items: T[]; next?: string };
type PageQuery = { limit?: number; cursor?: string };

const largestPage = 1000;

/** Every item of a list, or the first `most`, page after page. */
export async function listAll<T>(
  page: (query: PageQuery) => Promise<PageOf<T>>,
  most = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const limit = Math.min(largestPage, most - items.length);
    const answer = await page({ limit, ...(cursor === undefined ? {} : { cursor }) });
    items.push(...answer.items.slice(0, most - items.length));
    cursor = answer.next;
  } while (cursor !== undefined && items.length < most);
  return items;
}
