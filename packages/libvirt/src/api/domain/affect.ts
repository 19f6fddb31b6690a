// Which of a domain's two lives a change is for. Shared by all calls that change domains.

/**
 * `live` the running domain, `config` its definition, both, or with neither the running domain if it runs, else the
 * definition.
 */
export const affectFlags = { live: 1, config: 2 } as const;
