import { x402Client, x402HTTPClient } from '@x402/core/client'
import { ExactEvmScheme } from '@x402/evm'
import type { LocalAccount } from 'viem'
import { z } from 'zod'

type Challenge = ReturnType<x402HTTPClient['getPaymentRequiredResponse']>
type SettleResponse = ReturnType<x402HTTPClient['getPaymentSettleResponse']>

/** What an agent signs with the exact scheme (EIP-3009, TransferWithAuthorization). */
export interface SignedTransfer {
  readonly from: string
  readonly to: string
  /** Atomic units. */
  readonly value: bigint
  /** Unix seconds. */
  readonly validBefore: number
  readonly nonce: string
}

export interface SignedPayment {
  readonly transfer: SignedTransfer
  /** What is sent beside the request. */
  readonly headers: Readonly<Record<string, string>>
}

/** A program that pays for what it asks for, made of the x402 project's own client library. */
export interface PayingAgent {
  /** Reads the PAYMENT-REQUIRED header. Throws when there is none. */
  readChallenge(response: Response): Challenge
  /** Signs for the first offer. Throws when it costs more than the agent may spend. */
  sign(challenge: Challenge): Promise<SignedPayment>
  /** Reads the PAYMENT-RESPONSE header. Throws when there is none. */
  readReceipt(response: Response): SettleResponse
}

const exactPayload = z.object({
  authorization: z.object({
    from: z.string(),
    to: z.string(),
    value: z.string().regex(/^\d+$/).transform(BigInt),
    validBefore: z.string().regex(/^\d+$/).transform(Number),
    nonce: z.string(),
  }),
})

/** @param maxPrice The most that one request may cost, in dollars, like "$0.01". */
export function createAgent(account: LocalAccount, maxPrice: string): PayingAgent {
  const client = new x402HTTPClient(
    x402Client.fromConfig({
      schemes: [{ network: 'eip155:84532', client: new ExactEvmScheme(account) }],
      spendControls: { maxAmountPerPayment: maxPrice },
    }),
  )
  return {
    readChallenge: response =>
      client.getPaymentRequiredResponse(name => response.headers.get(name)),
    async sign(challenge) {
      const payment = await client.createPaymentPayload(challenge)
      return {
        transfer: exactPayload.parse(payment.payload).authorization,
        headers: client.encodePaymentSignatureHeader(payment),
      }
    },
    readReceipt: response => client.getPaymentSettleResponse(name => response.headers.get(name)),
  }
}
