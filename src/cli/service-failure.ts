import { ConfigurationError } from '../errors.ts'
import { EXIT_USAGE, type ExitCode } from './exit-code.ts'
import { failureFrom } from './failure.ts'
import type { Output } from './output.ts'

/** Says why a service did not start or could not go on: of a bad file, every problem. */
export async function reportServiceFailure(error: unknown, output: Output): Promise<ExitCode> {
  const failure = failureFrom(error)
  if (!(error instanceof ConfigurationError)) {
    output.failure(failure)
    return failure.exitCode
  }
  const { code, message, fix, problems } = error
  const { problemsText } = await import('./problems-text.ts')
  output.record({ error: { code, message, fix, problems } }, () =>
    problemsText(problems, output.stderr),
  )
  return EXIT_USAGE
}
