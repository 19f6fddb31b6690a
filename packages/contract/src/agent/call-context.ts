// What every call to a host carries.

/** Called as work goes on: what is being done now, and how much is done, 0 to 100. */
export type OnProgress = (message: string, percent: number) => void;

export type CallContext = { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined };
