import { GATEWAY_WALLET } from '../core/gateway-wallet.ts'
import type { Offer } from '../core/payment.ts'
import { type Price, readPrice } from '../pricing/price.ts'
import type { AcceptedAsset } from './check-accepts.ts'
import type { CheckContext } from './check-context.ts'
import type { PriceConfig } from './gateway-config.ts'
import { type Path, quote } from './problems.ts'
import type { RouteSetting } from './schema-routes.ts'
import { suggestName } from './suggest.ts'
import { formatDuration } from './values.ts'

/** From the reply of the upstream to the end of a settlement, and what clocks may differ by. */
const SETTLE_MARGIN_MS = 6_000 + 10_000

/** What a route costs: one offer for each way to pay, or nothing. */
export function checkPrice(
  route: RouteSetting,
  path: Path,
  scope: { readonly accepted: readonly AcceptedAsset[] | null; readonly context: CheckContext },
): PriceConfig {
  const { accepted, context } = scope
  const pricePath = [...path, 'price']
  const price = readPrice(route.price)
  if (price.kind === 'refused') {
    reportPrice(pricePath, price, context)
    return { kind: 'free' }
  }
  if (price.kind === 'free') return price
  if (accepted === null) {
    const cure = 'Write accepts: and the networks that callers may pay on, like [base-sepolia].'
    context.report(['accepts'], {
      message: 'there is a price, and no accepts to pay it with',
      cure,
    })
    return { kind: 'paid', offers: [] }
  }
  checkSymbols(price, accepted, { path: pricePath, context })
  const offers = accepted.flatMap(each => {
    const amount = price.amountIn(each.asset)
    if (amount.kind === 'refused') reportPrice(pricePath, amount, context)
    if (each.fromGatewayWallet) checkSettlesFirst(each, route, { path, context })
    else checkTimeout(each, route, { path, context })
    return amount.kind === 'amount' ? [createOffer(each, amount.atomic)] : []
  })
  return { kind: 'paid', offers }
}

interface Place {
  readonly path: Path
  readonly context: CheckContext
}

function reportPrice(
  path: Path,
  { message, cure }: { readonly message: string; readonly cure: string },
  context: CheckContext,
): void {
  context.report(path, { message: `${context.quote(path)} ${message}`, cure })
}

/** An amount in a token that is not accepted is a slip, or an entry that was forgotten. */
function checkSymbols(
  price: Extract<Price, { kind: 'paid' }>,
  accepted: readonly AcceptedAsset[],
  { path, context }: Place,
): void {
  const known = [...new Set(accepted.map(({ asset }) => asset.symbol))]
  if (known.length === 0) return
  for (const symbol of price.symbols ?? []) {
    if (known.includes(symbol)) continue
    const message = `${quote(symbol)} is not a token that is accepted here`
    context.report([...path, symbol], { message, cure: suggestName(symbol, known) })
  }
}

/** Circle's client and service both expect the money to move before the work is done. */
function checkSettlesFirst(
  { network }: AcceptedAsset,
  route: RouteSetting,
  { path, context }: Place,
): void {
  if (route.settle === 'before-upstream') return
  const message = `payments via Circle Gateway on ${network.name} are settled before the API is asked`
  const cure = 'Write settle: before-upstream, or give the route accepts of its own.'
  context.report([...path, 'settle'], { message, cure })
}

/**
 * A blockhash is good for 150 blocks (Solana, MAX_PROCESSING_AGE) of 0.4 s, whatever `maxTimeout`
 * says, and some of them are over when the payment comes.
 */
const SOLANA_LIFETIME_MS = 60_000

function reportTooSlowForSolana({ path, context }: Place): void {
  const spent = formatDuration(SOLANA_LIFETIME_MS - SETTLE_MARGIN_MS)
  const message = 'payments on Solana expire before this and 16s to settle have passed'
  const cure = `Give it at most ${spent}, or write settle: before-upstream.`
  context.report([...path, 'timeout'], { message, cure })
}

/** A payment must outlive the upstream's answer, or it expires before it can be settled. */
function checkTimeout(
  accepted: AcceptedAsset,
  route: RouteSetting,
  { path, context }: Place,
): void {
  const needed = route.timeout + SETTLE_MARGIN_MS
  const isOnSolana = accepted.network.family === 'solana' && route.settle === 'on-response'
  if (isOnSolana && needed > SOLANA_LIFETIME_MS) reportTooSlowForSolana({ path, context })
  if (accepted.maxTimeoutMs >= needed) return
  const seconds = Math.ceil(needed / 1000)
  const spent = `the time-out of ${formatDuration(route.timeout)} and 16s to settle`
  const message = `payments on ${accepted.network.name} expire before ${spent} have passed`
  const cure = `Give accepts a maxTimeout of at least ${seconds}s, or the route a shorter timeout.`
  // Where the route says nothing, it is the entry that is too short, for every route alike.
  const isOwn = context.isWritten([...path, 'timeout'])
  const culprit = isOwn ? [...path, 'timeout'] : [...accepted.path, 'maxTimeout']
  context.report(culprit, { message, cure })
}

function createOffer(accepted: AcceptedAsset, amount: Offer['amount']): Offer {
  const { network, asset, payTo, maxTimeoutMs, fromGatewayWallet } = accepted
  return {
    requirements: {
      scheme: 'exact',
      network: network.id,
      amount: amount.toString(),
      asset: asset.address,
      payTo,
      maxTimeoutSeconds: maxTimeoutMs / 1000,
      extra: extraOf(accepted),
    },
    amount,
    symbol: asset.symbol,
    decimals: asset.decimals,
    transferMethod: fromGatewayWallet ? 'gateway-wallet' : asset.transferMethod,
    // A version 1 client would sign for the token.
    v1Network: fromGatewayWallet ? null : network.v1Name,
  }
}

/**
 * The facilitator names the contract of Circle's wallet. Solana needs nothing but the fee payer,
 * which whoever settles puts in.
 */
function extraOf({ asset, fromGatewayWallet }: AcceptedAsset): Offer['requirements']['extra'] {
  if (fromGatewayWallet) return { ...GATEWAY_WALLET }
  if (!('eip712' in asset)) return {}
  const { eip712, transferMethod } = asset
  // A client takes a domain that is named for one that it can sign an EIP-2612 permit with.
  // The method is named only where it is not the one that every client expects.
  return transferMethod === 'permit2'
    ? { ...eip712, assetTransferMethod: 'permit2' }
    : { ...eip712 }
}
