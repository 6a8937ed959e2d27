import { FareboxError } from '../errors.ts'
import type { ClaimState } from './ledger.ts'

/** A step was asked of a claim whose state does not allow it. Nothing was changed. */
export class LedgerTransitionError extends FareboxError {
  readonly code = 'ledger_transition'
  readonly state: ClaimState | null

  /** @param state Null when no claim has this id, as after a takeover. */
  constructor(step: string, id: number, state: ClaimState | null) {
    const found = state === null ? 'was taken over or never existed' : `is "${state}"`
    super(`Claim ${id} ${found}, so it cannot become "${step}".`, {
      fix: 'The request outlived its hold or took a step twice: report it with the log around it.',
    })
    this.state = state
  }
}

/** A claim carried a value that no row can hold. Nothing was changed. */
export class LedgerValueError extends FareboxError {
  readonly code = 'ledger_value'

  constructor(detail: string) {
    super(`The ledger was given a value that it cannot store: ${detail}`, {
      fix: 'Report it: the values of a claim are checked before the ledger sees them.',
    })
  }
}

/** There is no ledger where one was to be read. */
export class LedgerMissingError extends FareboxError {
  readonly code = 'no_ledger'

  /** @param what Continues "There is nothing to read: ". */
  constructor(what: string) {
    super(`There is nothing to read: ${what}.`, {
      fix: 'Check store.url and the -c file: the gateway makes the ledger when it first starts.',
    })
  }
}

/** The ledger to be read is an older farebox's, and reading it must not change it. */
export class LedgerOlderError extends FareboxError {
  readonly code = 'ledger_schema_older'

  constructor(name: string, { found, known }: { found: number; known: number }) {
    super(`"${name}" has schema version ${found}; this farebox reads version ${known}.`, {
      fix: 'Read it with the farebox that wrote it; or start this one, which brings it up to date.',
    })
  }
}

/** The file was written by a newer farebox, whose rows this one could misread. */
export class LedgerSchemaError extends FareboxError {
  readonly code = 'ledger_schema_newer'

  constructor(path: string, versions: { found: number; known: number }) {
    super(
      `"${path}" has schema version ${versions.found}; this farebox knows up to ${versions.known}.`,
      { fix: 'Start the farebox version that wrote the file, or a later one.' },
    )
  }
}
