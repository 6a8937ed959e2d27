import { type Command, Option } from 'commander'
import { EXIT_OK, type ExitCode } from './exit-code.ts'
import { createOutput, type Output } from './output.ts'
import {
  keySourceOf,
  type PayOptions,
  parseAsset,
  parseAtomic,
  parseDollars,
  parseHeader,
  parseMethod,
  parseUrl,
  parseWait,
  preferenceOf,
  requestOf,
} from './pay/options.ts'
import type { Surroundings } from './surroundings.ts'

/** Low enough that a mistake is cheap, high enough for one call of most paid APIs. */
const MAX_DEFAULT = '0.01'
const WAIT_SECONDS_DEFAULT = 120

const EXPLANATION = `
The body goes to standard output as it arrives, the receipt to standard error: as text at a
terminal, as one line of JSON with --json or when standard output is piped.
A payment is signed once. While the server answers "settlement_pending", the same one is sent again.

Exit codes:
  0  the body was received
  1  failed: no answer, an error status, a 402 that cannot be read
  2  wrong usage, or not paid: price above the limit, no key, no confirmation
  3  the server refused the payment

Example:
  FAREBOX_PAYER_KEY=0x… farebox pay https://api.example.com/v1/weather/paris --max 0.005 --yes
`

export function registerPay(program: Command, surroundings: Surroundings): void {
  program
    .command('pay')
    .description('fetch a URL and pay for it when it asks (x402 v1 and v2, scheme exact, EVM)')
    .argument('<url>', 'what to fetch', parseUrl)
    .option('--max <dollars>', 'pay at most this much', parseDollars, MAX_DEFAULT)
    .addOption(
      new Option('--max-atomic <units>', 'limit in atomic units instead, for any token')
        .argParser(parseAtomic)
        .conflicts('max'),
    )
    .option('--network <network>', 'pay on this network only, like base-sepolia or eip155:84532')
    .option('--asset <address>', 'pay in this token only', parseAsset)
    .option('-X, --method <method>', 'HTTP method', parseMethod)
    .option('-d, --data <data>', 'request body, or @file')
    .option('-H, --header <header>', '"name: value"; may be repeated', parseHeader)
    .option('--key-env <name>', "variable that holds the payer's private key", 'FAREBOX_PAYER_KEY')
    .addOption(
      new Option('--key-file <path>', "file that holds the payer's private key").conflicts(
        'keyEnv',
      ),
    )
    .option('-y, --yes', 'pay without asking; the limit still holds')
    .option(
      '--wait <seconds>',
      'how long to wait for a settlement',
      parseWait,
      WAIT_SECONDS_DEFAULT,
    )
    .option('--receipt <file>', 'write the receipt there, as JSON')
    .option('--json', 'print JSON on standard error, as when piped')
    .addHelpText('after', EXPLANATION)
    .action(async (url: URL, options: PayOptions) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      surroundings.exitCode = await pay(url, options, { output, surroundings })
    })
}

interface Place {
  readonly output: Output
  readonly surroundings: Surroundings
}

async function pay(url: URL, options: PayOptions, place: Place): Promise<ExitCode> {
  const { output, surroundings } = place
  const built = await requestOf(url, options)
  if (built.kind === 'failed') {
    output.failure(built.failure)
    return built.failure.exitCode
  }
  // Loaded here, because the signing libraries would slow every other verb down.
  const { payForUrl } = await import('./pay/pay-for-url.ts')
  const order = {
    request: built.request,
    preference: preferenceOf(options),
    keySource: keySourceOf(options),
    yes: options.yes === true,
    canAsk: surroundings.stdin.isTTY === true && output.stderr.isTTY === true && !options.json,
    env: surroundings.env,
    waitMs: options.wait * 1000,
    receiptFile: options.receipt ?? null,
  }
  const failure = await payForUrl(order, output)
  if (failure === null) return EXIT_OK
  output.failure(failure)
  return failure.exitCode
}
