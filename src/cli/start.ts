import type { Command } from 'commander'
import { offerPrice, routeCount } from './check.ts'
import { EXIT_OK, type ExitCode } from './exit-code.ts'
import { createOutput, type Output, styled, table } from './output.ts'
import { serveUntilStopped } from './serve-until-stopped.ts'
import { reportServiceFailure } from './service-failure.ts'
import type { Surroundings } from './surroundings.ts'

export function registerStart(program: Command, surroundings: Surroundings): void {
  program
    .command('start')
    .description('run the gateway')
    .option('-c, --config <file>', 'configuration file', 'gateway.yaml')
    .option('--json', 'print nothing but JSON logs, as when piped')
    .addHelpText(
      'after',
      '\nSignals: SIGTERM and SIGINT finish what runs and stop, a second SIGINT stops at once,' +
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
  const open = async () => {
    const gateway = await openService(file, { output, env })
    const reload = async () => {
      const reloaded = await gateway.reload()
      output.note(
        reloaded.kind === 'reloaded'
          ? `${file} was read again and is in force.`
          : `${file} was not taken, what was in force stays:\n${reloaded.problems.join('\n')}`,
      )
    }
    return { ...gateway, reload }
  }
  const served = await serveUntilStopped(open, {
    output,
    onStarted: async gateway => {
      if (output.terminal) await greet(gateway, file, { output, env })
      else output.stdout.write(`${JSON.stringify(listening(gateway))}\n`)
    },
  })
  return served.kind === 'stopped' ? EXIT_OK : reportServiceFailure(served.error, output)
}

/** One process, or as many workers as the file says. */
async function openService(configFile: string, { output, env }: Place) {
  const { openConfigSource } = await import('../config/source.ts')
  // Before the file is read, so that no change falls between the two.
  const source = openConfigSource({ configFile, env, watch: true })
  try {
    const config = await source.read()
    if (config.server.workers === 1) {
      const { startGatewayOn } = await import('../gateway.ts')
      return await startGatewayOn(source, config, { log: output.stdout })
    }
    const { startWorkers } = await import('./workers/start-workers.ts')
    return await startWorkers(source, config, { log: output.stdout })
  } catch (error) {
    source.close()
    throw error
  }
}

export interface Addresses {
  readonly url: string
  readonly adminUrl: string | null
}

/**
 * In the shape of the gateway's own log, so that whoever started it learns a port of 0 from there.
 */
export function listening({ url, adminUrl }: Addresses) {
  return { time: new Date().toISOString(), level: 'info', msg: 'listening', url, adminUrl }
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
  const given = routes.filter(({ mode }) => mode === 'shadow').length
  if (given === 0) return
  const warning = `SHADOW MODE: ${given} priced routes are served to everybody for nothing.`
  output.note(styled(['bold', 'yellow'], warning, output.stderr))
}
