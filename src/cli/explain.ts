import type { Command } from 'commander'
import { describeRoute } from './check.ts'
import { readConfiguration } from './configuration.ts'
import { EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.ts'
import type { Failed } from './failure.ts'
import { createOutput, type Output } from './output.ts'
import type { Surroundings } from './surroundings.ts'

export function registerExplain(program: Command, surroundings: Surroundings): void {
  program
    .command('explain')
    .description('show what becomes of a request, and where the configuration says so')
    .argument('<request...>', 'a request, like "GET /v1/weather/paris"')
    .option('-c, --config <file>', 'configuration file', 'gateway.yaml')
    .option('--json', 'print JSON, as when piped')
    .addHelpText(
      'after',
      '\nNobody is asked: what is shown is what the file says.' +
        '\nExit codes: 0 explained, 1 no route matches, 2 no request, or the file has problems.\n',
    )
    .action(async (words: readonly string[], options: { config: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      const place = { output, env: surroundings.env }
      surroundings.exitCode = await explain(words, options.config, place)
    })
}

async function explain(
  words: readonly string[],
  file: string,
  place: { readonly output: Output; readonly env: NodeJS.ProcessEnv },
): Promise<ExitCode> {
  const { output } = place
  const { readAsked, findRoute } = await import('./explain/find-route.ts')
  const asked = readAsked(words)
  if (asked.kind === 'failed') return refuse(asked, output)
  const loaded = await readConfiguration(file, place)
  if (loaded === null) return EXIT_USAGE
  const found = findRoute(asked, loaded.config)
  if (found.kind === 'failed') return refuse(found, output)
  const { config, document } = loaded
  const { route } = found
  const { method, target } = asked
  const upstream = config.upstreams.find(({ name }) => name === route.upstream) ?? null
  const subject = { route, config, upstream, target, document }
  const { explainRoute, explainedText } = await import('./explain/explained.ts')
  const facts = explainRoute(subject)
  output.result({ file, method, target, ...describeRoute(route), facts }, () =>
    explainedText(facts, { file, subject, asked: `${method} ${target}` }, output.stdout),
  )
  return EXIT_OK
}

function refuse({ failure }: Failed, output: Output): ExitCode {
  output.failure(failure)
  return failure.exitCode
}
