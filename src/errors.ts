import type { Problem } from './config/problems.ts'

/**
 * Something broke or is misconfigured. A declined payment is a value, not one of these.
 *
 * Tell errors apart by `code`, which is stable and never reused; docs/errors.md lists them.
 */
export abstract class FareboxError extends Error {
  abstract readonly code: string
  /** One sentence: what the operator should do next. */
  readonly fix: string

  protected constructor(message: string, options: { fix: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.fix = options.fix
  }
}

/** The configuration file has problems; each has its place and its cure. */
export class ConfigurationError extends FareboxError {
  readonly code = 'configuration_invalid'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(`The configuration has ${problems.length} problem(s).`, {
      fix: 'Run "farebox check" to see each with its place and its cure.',
    })
    this.problems = problems
  }
}

/** The store cannot promise durability now. Priced routes answer 503 and nothing is served. */
export class StoreUnavailableError extends FareboxError {
  readonly code = 'store_unavailable'

  constructor(message: string, options: { fix: string; cause?: unknown }) {
    super(message, options)
  }
}

/** No facilitator answered, or what it answered cannot be trusted. Nothing was settled. */
export class FacilitatorUnavailableError extends FareboxError {
  readonly code = 'facilitator_unavailable'
  readonly retryAfterSeconds: number
  /** How long it asked to be left alone; null when it did not ask. */
  readonly restSeconds: number | null

  constructor(
    message: string,
    options: {
      fix: string
      cause?: unknown
      retryAfterSeconds?: number
      restSeconds?: number | null
    },
  ) {
    super(message, options)
    this.retryAfterSeconds = options.retryAfterSeconds ?? 5
    this.restSeconds = options.restSeconds ?? null
  }
}

/** A settle request may have reached the facilitator, and no trustworthy answer came back. */
export class SettlementUnknownError extends FareboxError {
  readonly code = 'settlement_pending'
  /** Hash that the facilitator named, when it named one. */
  readonly transaction: string | null
  /** How long it asked to be left alone; null when it did not ask. */
  readonly restSeconds: number | null

  constructor(
    message: string,
    options: {
      fix: string
      cause?: unknown
      transaction?: string | null
      restSeconds?: number | null
    },
  ) {
    super(message, options)
    this.transaction = options.transaction ?? null
    this.restSeconds = options.restSeconds ?? null
  }
}

/** What facilitators support could not be kept for the next start, or read back. */
export class SupportCacheError extends FareboxError {
  readonly code = 'support_cache_unusable'

  constructor(message: string, options: { fix: string; cause?: unknown }) {
    super(message, options)
  }
}

/** A request body went over `server.limits.bodyBytes` on its way through. */
export class RequestBodyTooLargeError extends FareboxError {
  readonly code = 'body_too_large'

  constructor(bytesMax: number) {
    super(`The request body is larger than ${bytesMax} bytes.`, {
      fix: 'Raise server.limits.bodyBytes if callers need to send more.',
    })
  }
}

/** The client went away before its request was complete. Nobody is left to answer. */
export class ClientGoneError extends FareboxError {
  readonly code = 'client_gone'

  constructor() {
    super('The client went away before its request was complete.', {
      fix: 'Nothing to do: nothing was charged.',
    })
  }
}
