// A gate that work waits at until something else has been looked into. Shut at first; may be shut again.

export class Gate {
  #opening = Promise.withResolvers<boolean>();
  #isOpen = false;

  shut(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#opening = Promise.withResolvers();
  }

  open(): void {
    this.#isOpen = true;
    this.#opening.resolve(true);
  }

  /** Who waits at a gate that is shut is sent away. */
  end(): void {
    this.#opening.resolve(false);
  }

  /** Waits until the gate is open. @returns false when it will not be */
  pass(): Promise<boolean> {
    return this.#opening.promise;
  }
}
