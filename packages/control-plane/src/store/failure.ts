// How a column keeps why something failed for good.
import type { VirgaError } from '@virga/contract/errors';

/** As the columns named failure have it, without what is for the log only. @see Failure */
export const failureOf = ({ code, detail, action }: VirgaError): string => JSON.stringify({ code, detail, action });
