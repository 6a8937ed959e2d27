import { randomUUID } from 'node:crypto'
import { type x402Client as Client, x402Client, x402HTTPClient } from '@x402/core/client'
import { registerExactEvmScheme } from '@x402/evm/exact/client'
import type { PrivateKeyAccount } from 'viem/accounts'
import { answerDeclaration } from '../../x402/payment-identifier.ts'
import { EXIT_FAILED } from '../exit-code.ts'
import { type Failed, failed } from '../failure.ts'
import { foreignText } from '../foreign-text.ts'
import type { Challenge } from './challenge.ts'
import type { ChosenOffer } from './choose-offer.ts'

export interface SignedPayment {
  readonly kind: 'signed'
  /** The one header that carries it: PAYMENT-SIGNATURE (v2) or X-PAYMENT (v1). */
  readonly headers: Readonly<Record<string, string>>
  /** Unix seconds after which the chain refuses it. */
  readonly validBefore: number
}

type ClientChallenge = Parameters<Client['createPaymentPayload']>[0]

/**
 * Signs the chosen offer and nothing else: the library sees only that one entry, and a cap of its
 * own for that one token in place of its default of one dollar.
 */
export async function signPayment(
  challenge: Challenge,
  chosen: ChosenOffer,
  account: PrivateKeyAccount,
): Promise<SignedPayment | Failed> {
  const { offer, limit } = chosen
  const client = new x402Client()
  registerExactEvmScheme(client, { signer: account })
  client.setSpendControls({
    maxAmountPerPayment: false,
    allowedAssets: [
      {
        network: offer.network as ChallengeNetwork, // v1 names are not CAIP-2
        asset: offer.asset,
        maxAmountPerPayment: limit.toString(),
      },
    ],
  })
  const { extensions } = challenge.written
  const single = {
    ...challenge.written,
    accepts: [offer.written],
    ...(isObject(extensions) ? { extensions: answerDeclaration(extensions, randomUUID()) } : {}),
  }
  try {
    const payload = await client.createPaymentPayload(
      single as unknown as ClientChallenge, // decodeChallenge checked the members that it reads
    )
    return {
      kind: 'signed',
      headers: new x402HTTPClient(client).encodePaymentSignatureHeader(payload),
      validBefore: Math.floor(Date.now() / 1000) + Math.ceil(offer.maxTimeoutSeconds),
    }
  } catch (error) {
    return failed({
      code: 'cannot_sign',
      message: `The offer cannot be signed: ${foreignText(String(error), 400)}`,
      fix: 'Nothing was sent. The offer lacks something that a signature needs: tell the seller.',
      exitCode: EXIT_FAILED,
    })
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

type ChallengeNetwork = ClientChallenge['accepts'][number]['network']
