import type { Network } from '../../networks/registry.ts'
import type { X402Version } from '../../x402/decode-payment.ts'
import type { SettleAnswer, Supported, SupportedKind, VerifyAnswer } from '../facilitator.ts'

/** A body of `/verify`, `/settle` or `/supported`, and what it says in one word. */
export interface WireAnswer {
  readonly body: object
  /** From a fixed set. */
  readonly outcome: 'valid' | 'invalid' | 'settled' | 'refused' | 'pending' | 'supported'
}

/** x402 specification v1 and v2, "VerifyResponse": the same in both. */
export function verifyBody({ isValid, invalidReason, payer }: VerifyAnswer): WireAnswer {
  return { body: { isValid, invalidReason, payer }, outcome: isValid ? 'valid' : 'invalid' }
}

/**
 * x402 specification v1 and v2, "SettlementResponse".
 *
 * @param network As the request wrote it.
 */
export function settleBody(
  { success, errorReason, payer, transaction, amount }: SettleAnswer,
  { version, network }: { readonly version: X402Version; readonly network: string },
): WireAnswer {
  const body = { success, errorReason, payer, transaction, network }
  const isOpen = transaction !== '' || errorReason === 'settlement_pending'
  const failure = isOpen ? 'pending' : 'refused'
  return {
    // Version 1 has no amount.
    body: version === 1 ? body : { ...body, amount },
    outcome: success ? 'settled' : failure,
  }
}

/** Every kind in version 2, and in version 1 where that has a name for the network. */
export function supportedBody(
  { kinds, extensions, signers }: Supported,
  networks: readonly Network[],
): WireAnswer {
  const inV1 = kinds.flatMap(({ scheme, network }): SupportedKind[] => {
    const v1Name = networks.find(({ id }) => id === network)?.v1Name ?? null
    return v1Name === null ? [] : [{ x402Version: 1, scheme, network: v1Name }]
  })
  return { body: { kinds: [...kinds, ...inV1], extensions, signers }, outcome: 'supported' }
}
