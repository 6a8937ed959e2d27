import { FareboxError } from '../errors.ts'

export interface ErrorDescription {
  readonly name: string
  readonly message: string
  readonly code?: string
  /** What the operator should do. */
  readonly fix?: string
  /** Of errors that nobody expected; ours are told by code and message. */
  readonly stack?: string
  readonly cause?: ErrorDescription
}

const CAUSES_MAX = 4
const TEXT_MAX = 2_000

/**
 * What a log says of an error. Only named fields are read: libraries hang requests, headers and
 * payloads on their errors.
 */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) {
    // A thrown object may hold anything, or refuse to become text.
    const isObject = typeof error === 'object' || typeof error === 'function'
    const message = isObject && error !== null ? 'not an Error' : String(error)
    return { name: typeof error, message: limit(message) }
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    name: limit(error.name),
    message: limit(error.message),
    ...(code === undefined ? {} : { code: limit(code) }),
    ...(error instanceof FareboxError ? { fix: limit(error.fix) } : stackOf(error)),
    ...(error.cause === undefined || depth >= CAUSES_MAX
      ? {}
      : { cause: describeError(error.cause, depth + 1) }),
  }
}

function stackOf({ stack }: Error): { readonly stack?: string } {
  return stack === undefined ? {} : { stack: limit(stack) }
}

function limit(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text
}
