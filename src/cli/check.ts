import type { Command } from 'commander'
import type { GatewayConfig, RouteConfig } from '../config/gateway-config.ts'
import { formatAmount } from '../core/amount.ts'
import type { Offer } from '../core/payment.ts'
import { readConfiguration } from './configuration.ts'
import { EXIT_OK, EXIT_USAGE, type ExitCode } from './exit-code.ts'
import { createOutput, type Output, styled, table } from './output.ts'
import type { OutputStream, Surroundings } from './surroundings.ts'

export function registerCheck(program: Command, surroundings: Surroundings): void {
  program
    .command('check')
    .description('check a configuration file and show what every route costs')
    .option('-c, --config <file>', 'configuration file', 'gateway.yaml')
    .option('--json', 'print JSON, as when piped')
    .addHelpText('after', '\nExit codes: 0 the file is valid, 2 it has problems.\n')
    .action(async (options: { config: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      surroundings.exitCode = await check(options.config, { output, env: surroundings.env })
    })
}

interface Reading {
  readonly output: Output
  /** Where the configuration's ${VARIABLES} are looked up. */
  readonly env: NodeJS.ProcessEnv
}

async function check(file: string, { output, env }: Reading): Promise<ExitCode> {
  const loaded = await readConfiguration(file, { output, env })
  if (loaded === null) return EXIT_USAGE
  const { config, notes } = loaded
  const result = { valid: true, file, routes: config.routes.map(describeRoute), notes }
  const { problemsText } = await import('./problems-text.ts')
  output.result(result, () => {
    const text = routesText(config, file, output.stdout)
    return notes.length === 0 ? text : `${text}\n\n${problemsText(notes, output.stdout, 'note')}`
  })
  return EXIT_OK
}

/** A route as programs read it: amounts as text, because JSON numbers are floats. */
function describeRoute(route: RouteConfig) {
  const { key, upstream, price, settle } = route
  if (price.kind === 'free') return { route: key, upstream, price: 'free' }
  return { route: key, upstream, settle, price: 'paid', offers: price.offers.map(describeOffer) }
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
      ? [[route.key, 'free', '', '', route.upstream]]
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
  const [key, upstream] = index === 0 ? [route.key, route.upstream] : ['', '']
  return [key, offerPrice(offer), name, payTo, upstream]
}
