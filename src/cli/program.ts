import { Command, CommanderError } from 'commander'
import { fareboxVersion } from '../version.ts'
import { registerCheck } from './check.ts'
import { EXIT_OK } from './exit-code.ts'
import { registerExplain } from './explain.ts'
import { registerFacilitator } from './facilitator.ts'
import { registerFacilitators } from './facilitators.ts'
import { failureFrom } from './failure.ts'
import { registerHealthcheck } from './healthcheck.ts'
import { registerKey } from './key.ts'
import { registerLedger } from './ledger.ts'
import { registerNetworks } from './networks.ts'
import { createOutput } from './output.ts'
import { registerPay } from './pay.ts'
import { registerStart } from './start.ts'
import type { Surroundings } from './surroundings.ts'
import { registerVersion } from './version.ts'

/** Commander's own codes for "a person asked for this text and has it now". */
const SHOWN = new Set(['commander.helpDisplayed', 'commander.version'])

/** Runs the command line and leaves its outcome in `exitCode`. */
export async function run(surroundings: Surroundings): Promise<void> {
  const output = createOutput({ json: surroundings.argv.includes('--json') }, surroundings)
  try {
    await createProgram(surroundings, output.terminal).parseAsync([...surroundings.argv])
  } catch (error) {
    if (error instanceof CommanderError && SHOWN.has(error.code)) {
      surroundings.exitCode = EXIT_OK
      return
    }
    const failure = failureFrom(error)
    surroundings.exitCode = failure.exitCode
    // Without a verb the help is on the terminal already.
    if (output.terminal && error instanceof CommanderError && error.code === 'commander.help')
      return
    output.failure(failure)
  }
}

function createProgram(surroundings: Surroundings, terminal: boolean): Command {
  const program = new Command('farebox')
    .description('A pay-per-request reverse proxy: get paid for your API over x402.')
    .version(fareboxVersion(), '--version', 'print the version')
    .exitOverride()
    .configureOutput({
      // Errors are reported once, in one form, by run().
      outputError: () => {},
      writeOut: text => void surroundings.stdout.write(text),
      writeErr: text => {
        if (terminal) surroundings.stderr.write(text)
      },
    })
  registerStart(program, surroundings)
  registerCheck(program, surroundings)
  registerExplain(program, surroundings)
  registerPay(program, surroundings)
  registerLedger(program, surroundings)
  registerNetworks(program, surroundings)
  registerFacilitators(program, surroundings)
  registerFacilitator(program, surroundings)
  registerKey(program, surroundings)
  registerHealthcheck(program, surroundings)
  registerVersion(program, surroundings)
  return program
}
