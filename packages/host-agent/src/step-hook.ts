// A place between two steps of a call where a test can look, fail it, or freeze it for good, as a crash would.

/** Called before each step. What it throws fails the step; a promise that never resolves leaves the call there. */
export type StepHook = (step: string, resourceId: string) => void | Promise<void>;
