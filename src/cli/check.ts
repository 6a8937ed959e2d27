import { type Command, InvalidArgumentError, Option } from 'commander'
import type { GatewayConfig, RouteConfig } from '../config/gateway-config.ts'
import type { Tree } from '../config/tree.ts'
import { formatAmount } from '../core/amount.ts'
import type { Offer } from '../core/payment.ts'
import { readConfiguration } from './configuration.ts'
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.ts'
import { createOutput, type Output, styled, table } from './output.ts'
import type { OutputStream, Surroundings } from './surroundings.ts'

export function registerCheck(program: Command, surroundings: Surroundings): void {
  program
    .command('check')
    .description('check a configuration file and show what every route costs')
    .option('-c, --config <file>', 'configuration file', 'gateway.yaml')
    .option('--online', 'then ask facilitators, chains and the public URL whether it is true')
    .addOption(
      new Option('--url <url>', 'where buyers reach the gateway, instead of server.publicUrl')
        .argParser(parsePublicUrl)
        .implies({ online: true }),
    )
    .addOption(
      new Option('--path <path>', 'what to ask for there, instead of routes without parameters')
        .argParser(parsePath)
        .implies({ online: true }),
    )
    .option('--json', 'print JSON, as when piped')
    .addHelpText('after', EXIT_CODES)
    .action(async (options: CheckOptions) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      surroundings.exitCode = await check(options, { output, env: surroundings.env })
    })
}

const EXIT_CODES = `
Exit codes: 0 all is well, 1 --online found a problem, 2 the file has problems.
`

interface CheckOptions {
  readonly config: string
  readonly online?: true
  readonly url?: URL
  readonly path?: string
  readonly json?: true
}

function parsePublicUrl(text: string): URL {
  const url = URL.parse(text)
  const isPlain =
    url?.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (url !== null && isPlain && /^https?:$/.test(url.protocol)) return url
  throw new InvalidArgumentError('Write where the gateway is, like https://api.example.com.')
}

function parsePath(text: string): string {
  if (/^\/[\x21-\x7e]*$/.test(text) && !text.includes('#')) return text
  throw new InvalidArgumentError('Write a path as it stands in a URL, like /v1/weather/paris.')
}

interface Reading {
  readonly output: Output
  /** Where the configuration's ${VARIABLES} are looked up. */
  readonly env: NodeJS.ProcessEnv
}

async function check(options: CheckOptions, { output, env }: Reading): Promise<ExitCode> {
  const { config: file } = options
  const loaded = await readConfiguration(file, { output, env })
  if (loaded === null) return EXIT_USAGE
  const { config, document, notes } = loaded
  const result = { valid: true, file, routes: config.routes.map(describeRoute), notes }
  const { problemsText } = await import('./problems-text.ts')
  output.result(result, () => {
    const text = routesText(config, file, output.stdout)
    return notes.length === 0 ? text : `${text}\n\n${problemsText(notes, output.stdout, 'note')}`
  })
  return options.online ? ask({ config, document, file }, options, output) : EXIT_OK
}

async function ask(
  loaded: { readonly config: GatewayConfig; readonly document: Tree; readonly file: string },
  options: CheckOptions,
  output: Output,
): Promise<ExitCode> {
  const { checkOnline } = await import('./check-online/check-online.ts')
  const { findingsText, toRecord } = await import('./check-online/findings-output.ts')
  output.note('\nAsking facilitators, chains and the public URL …\n')
  const findings = await checkOnline({
    ...loaded,
    url: options.url ?? null,
    requestPath: options.path ?? null,
  })
  const records = findings.map(finding => toRecord(finding, loaded))
  if (output.terminal) output.result(null, () => findingsText(records, output.stdout))
  else for (const record of records) output.result(record, () => '')
  return records.some(({ level }) => level === 'problem') ? EXIT_FAILED : EXIT_OK
}

/** A route as programs read it: amounts as text, because JSON numbers are floats. */
export function describeRoute(route: RouteConfig) {
  const { key, price, settle, mode } = route
  const upstream = whoAnswers(route)
  if (price.kind === 'free') return { route: key, upstream, price: 'free' }
  const offers = price.offers.map(describeOffer)
  return { route: key, upstream, settle, mode, price: 'paid', offers }
}

/** The name of an upstream, or what stands in for one. */
function whoAnswers({ upstream, answer }: RouteConfig): string {
  return upstream ?? `(${answer?.kind})`
}

function describeOffer(offer: Offer) {
  const { network, scheme, asset, payTo } = offer.requirements
  return {
    price: formatAmount(offer.amount, offer.decimals),
    symbol: offer.symbol,
    amount: offer.amount.toString(),
    ...{ scheme, network, asset, payTo },
  }
}

function routesText(config: GatewayConfig, file: string, stream: OutputStream): string {
  const header = ['ROUTE', 'PRICE', 'NETWORK', 'PAY TO', 'UPSTREAM']
  const rows = config.routes.flatMap(route =>
    route.price.kind === 'free'
      ? [[route.key, 'free', '', '', whoAnswers(route)]]
      : route.price.offers.map((offer, index) => offerRow(route, offer, index)),
  )
  const summary = styled('green', `${file} is valid: ${routeCount(config.routes)}`, stream)
  return `${table([header, ...rows])}\n\n${summary}`
}

/** Like "3 routes, 2 paid". */
export function routeCount(routes: readonly RouteConfig[]): string {
  const paid = routes.filter(route => route.price.kind === 'paid').length
  return `${routes.length} ${routes.length === 1 ? 'route' : 'routes'}, ${paid} paid`
}

/** The price of one offer, like "0.001 USDC". */
export function offerPrice(offer: Offer): string {
  return `${formatAmount(offer.amount, offer.decimals)} ${offer.symbol}`
}

function offerRow(route: RouteConfig, offer: Offer, index: number): string[] {
  const { network, payTo } = offer.requirements
  const name = offer.v1Network === null ? network : `${offer.v1Network} (${network})`
  // The second way to pay for a route stands below the first.
  const [key, upstream] = index === 0 ? [route.key, whoAnswers(route)] : ['', '']
  const price = `${offerPrice(offer)}${route.mode === 'shadow' ? ' (shadow: not charged)' : ''}`
  return [key, price, name, payTo, upstream]
}
