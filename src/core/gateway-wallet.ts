import type { PaymentRequirements } from './payment.ts'

type Extra = PaymentRequirements['extra']

/**
 * Circle's way to pay: from the payer's balance in its GatewayWallet contract, collected by Circle
 * and moved in batches. What is signed looks like EIP-3009, for another domain than the token's.
 *
 * Source: @circle-fin/x402-batching 3.3.0, `CIRCLE_BATCHING_NAME` and `CIRCLE_BATCHING_VERSION`.
 */
export const GATEWAY_WALLET = { name: 'GatewayWalletBatched', version: '1' } as const

/**
 * How long a payment must be good for: a batch may wait for seven days
 * (@circle-fin/x402-batching 3.3.0, `GATEWAY_AUTH_VALIDITY_WINDOW_SECONDS`).
 */
export const GATEWAY_WALLET_VALIDITY_SECONDS = 604_900

/** Whether an offer, or what a facilitator says that it takes, is about this way to pay. */
export function isGatewayWallet(extra: Extra | undefined): boolean {
  return extra?.['name'] === GATEWAY_WALLET.name
}

/** Two that sign for the same contract of the same version; any version of the token's own. */
export function isSameWallet(one: Extra | undefined, other: Extra | undefined): boolean {
  if (!isGatewayWallet(one)) return !isGatewayWallet(other)
  return isGatewayWallet(other) && one?.['version'] === other?.['version']
}

/** The contract that holds the balance, as the facilitator advertised it; null for no address. */
export function gatewayWalletOf(extra: Extra | undefined): string | null {
  const contract = extra?.['verifyingContract']
  const isAddress = typeof contract === 'string' && /^0x[0-9a-fA-F]{40}$/.test(contract)
  return isGatewayWallet(extra) && isAddress ? contract : null
}
