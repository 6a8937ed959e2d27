import type { Command } from 'commander'
import type { Problem } from '../config/problems.ts'
import { offerPrice, routeCount } from './check.ts'
import { EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.ts'
import { failureFrom } from './failure.ts'
import { createOutput, type Output, styled, table } from './output.ts'
import type { Surroundings } from './surroundings.ts'

export function registerStart(program: Command, surroundings: Surroundings): void {
  program
    .command('start')
    .description('run the gateway')
    .option('-c, --config <file>', 'configuration file', 'gateway.yaml')
    .option('--json', 'print nothing but JSON logs, as when piped')
    .addHelpText(
      'after',
      '\nSignals: SIGTERM and SIGINT finish what is running and stop, a second SIGINT stops at once,' +
        '\nSIGHUP reads the configuration again.' +
        '\nExit codes: 0 stopped as asked, 1 failed, 2 the configuration has problems.\n',
    )
    .action(async (options: { config: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      surroundings.exitCode = await start(options.config, { output, env: surroundings.env })
    })
}

interface Place {
  readonly output: Output
  /** Where the configuration's ${VARIABLES} are looked up. */
  readonly env: NodeJS.ProcessEnv
}

async function start(file: string, { output, env }: Place): Promise<ExitCode> {
  // Before anything else: as PID 1 of a container, a process without handlers ignores these signals.
  const stopAsked = watchStopSignals(output)
  const { startGateway } = await import('../gateway.ts')
  const started = await startGateway({
    configFile: file,
    watch: true,
    env,
    log: output.stdout,
  }).then(
    gateway => ({ kind: 'started' as const, gateway }),
    (error: unknown) => ({ kind: 'not-started' as const, error }),
  )
  if (started.kind === 'not-started') return reportNotStarted(started.error, output)
  const { gateway } = started
  const reload = () => {
    gateway.reload().catch(error => output.failure(failureFrom(error)))
  }
  process.on('SIGHUP', reload)
  if (output.terminal) await greet(gateway, file, { output, env })
  await stopAsked
  process.off('SIGHUP', reload)
  await gateway.close()
  return EXIT_OK
}

/** Resolves at the first SIGTERM or SIGINT. A second SIGINT ends the process at once. */
function watchStopSignals(output: Output): Promise<void> {
  const asked = Promise.withResolvers<void>()
  let interrupts = 0
  process.on('SIGTERM', () => asked.resolve())
  process.on('SIGINT', () => {
    interrupts++
    if (interrupts === 2) process.exit(EXIT_INTERRUPTED)
    output.note('Finishing what is running. Press Ctrl-C again to stop at once.')
    asked.resolve()
  })
  return asked.promise
}

interface Addresses {
  readonly url: string
  readonly adminUrl: string | null
}

async function greet(gateway: Addresses, file: string, { output, env }: Place): Promise<void> {
  const { loadConfig } = await import('../config/load.ts')
  const loaded = await loadConfig(file, { env })
  // The gateway has read the file already; when it changed since, its own log tells.
  const routes = loaded.kind === 'loaded' ? loaded.config.routes : []
  const paid = routes.flatMap(({ key, price }) =>
    price.kind === 'paid' ? [[`  ${key}`, price.offers.map(offerPrice).join(' or ')]] : [],
  )
  output.note(
    table([
      ['Listening on', styled('bold', gateway.url, output.stderr)],
      ['Admin', gateway.adminUrl ?? 'off'],
      ['Routes', routeCount(routes)],
      ...paid,
    ]),
  )
}

async function reportNotStarted(error: unknown, output: Output): Promise<ExitCode> {
  const failure = failureFrom(error)
  const problems = problemsOf(error)
  if (problems === null) {
    output.failure(failure)
    return failure.exitCode
  }
  const { problemsText } = await import('./problems-text.ts')
  output.record({ error: { code: failure.code, message: failure.message, problems } }, () =>
    problemsText(problems, output.stderr),
  )
  return EXIT_USAGE
}

/** The problems that a `ConfigurationError` carries; null for every other error. */
function problemsOf(error: unknown): readonly Problem[] | null {
  if (!(error instanceof Error) || !('problems' in error)) return null
  return Array.isArray(error.problems) ? error.problems : null
}
