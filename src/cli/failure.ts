import { CommanderError } from 'commander'
import { FareboxError } from '../errors.ts'
import { EXIT_FAILED, EXIT_USAGE, type ExitCode } from './exit-code.ts'

/** Why a verb did not do what it was asked. */
export interface Failure {
  /** Stable: programs tell failures apart by it. */
  readonly code: string
  readonly message: string
  /** One sentence: what the caller should do next. */
  readonly fix: string
  readonly exitCode: ExitCode
  /** More facts for programs; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
}

export interface Failed {
  readonly kind: 'failed'
  readonly failure: Failure
}

export function failed(failure: Failure): Failed {
  return { kind: 'failed', failure }
}

/** A call that cannot mean anything, or that we decline to carry out. Exit code 2. */
export function usageFailure(code: string, message: string, fix: string): Failed {
  return failed({ code, message, fix, exitCode: EXIT_USAGE })
}

/** What to tell the caller about something that was thrown. */
export function failureFrom(error: unknown): Failure {
  if (error instanceof CommanderError) return commanderFailure(error)
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof FareboxError) {
    return { code: error.code, message, fix: error.fix, exitCode: EXIT_FAILED }
  }
  return {
    code: 'internal',
    message,
    fix: 'This is a defect in farebox. Report it with the command that you ran.',
    exitCode: EXIT_FAILED,
  }
}

function commanderFailure(error: CommanderError): Failure {
  const isHelp = error.code === 'commander.help'
  return {
    code: 'usage',
    message: isHelp ? 'no command was named' : withoutValues(error.message),
    fix: 'Run it again with --help to see what it takes.',
    exitCode: EXIT_USAGE,
  }
}

/** Commander repeats what was typed, which may be a header's secret or a key in the wrong place. */
function withoutValues(message: string): string {
  return message
    .trim()
    .replace(/^error: /, '')
    .replace(/^(option '[^']*') argument '.*' is invalid\./s, '$1 is invalid.')
    .replace(/^command-argument value '.*' is invalid for (argument '[^']*')\./, '$1 is invalid.')
    .replace(/^(too many arguments.* but got \d+): .*$/s, '$1.')
    .replace(/^(unknown option '[^'=]*)=.*$/s, "$1'")
}
