/** Something did not go as the demo promises. `fix` says what the person at the terminal can do. */
export class DemoFailure extends Error {
  readonly fix: string

  constructor(message: string, options: { fix: string; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DemoFailure'
    this.fix = options.fix
  }
}

/** Any error as a failure, with the advice that it carries itself, else with `fix`. */
export function failureFrom(error: unknown, fix: string): DemoFailure {
  if (error instanceof DemoFailure) return error
  const message = error instanceof Error ? error.message : String(error)
  const own = error instanceof Error && 'fix' in error ? error.fix : null
  return new DemoFailure(message, { fix: typeof own === 'string' ? own : fix, cause: error })
}
