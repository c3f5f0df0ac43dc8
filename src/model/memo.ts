/** What was made of the very same things before: so that who compares or rebuilds can tell at a glance that nothing has changed. */

export interface Memo {
  /** What `make` gave last, as long as `from` are the very same (===); `what` names it. */
  of<Made>(what: string, from: readonly unknown[], make: () => Made): Made;
}

export function createMemo(): Memo {
  const last = new Map<string, { readonly from: readonly unknown[]; readonly made: unknown }>();
  return {
    of: <Made>(what: string, from: readonly unknown[], make: () => Made): Made => {
      const known = last.get(what);
      if (known !== undefined && isSameList(known.from, from)) return known.made as Made;
      const made = make();
      last.set(what, { from, made });
      return made;
    },
  };
}

/** Remembers nothing. */
export const NO_MEMO: Memo = { of: (_what, _from, make) => make() };

/** What is made of one object alone, made once: for objects that never change. Kept as long as the object is. */
export function oncePer<Of extends object, Made>(make: (of: Of) => Made): (of: Of) => Made {
  const known = new WeakMap<Of, { readonly made: Made }>();
  return (of) => {
    const entry = known.get(of) ?? { made: make(of) };
    known.set(of, entry);
    return entry.made;
  };
}

export function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
