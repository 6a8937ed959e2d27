import { ExactEvmScheme } from '@x402/evm'
import fc from 'fast-check'
import { type Hex, hashTypedData, toHex } from 'viem'
import { describe, expect, test } from 'vitest'
import type { Offer } from '../../src/core/payment.ts'
import { recoverSigner } from '../../src/x402/eip712.ts'
import { eip3009, gatewayWallet } from '../../src/x402/eip3009.ts'
import { permit2 } from '../../src/x402/permit2.ts'
import type { TransferMethod } from '../../src/x402/signed-transfer.ts'
import { buyer } from '../support/accounts.ts'
import { tokenTypes } from '../support/authorizations.ts'
import { createOffer, createPermit2Offer, signV2 } from './payments.ts'

const uint256 = fc.bigInt(0n, 2n ** 256n - 1n)
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map(given => toHex(given))
const address = bytes(20)
const chainId = fc.integer({ min: 1, max: 2 ** 31 })
const anySignature = `0x${'11'.repeat(65)}`

function digestOf(method: TransferMethod, payload: Record<string, unknown>, offer: Offer): Hex {
  const transfer = method.read(payload, offer)
  if (transfer === null) throw new Error('The payload was not read.')
  return toHex(transfer.digest(offer))
}

const message = fc.record({
  from: address,
  to: address,
  value: uint256,
  validAfter: uint256,
  validBefore: uint256,
  nonce: bytes(32),
})

describe('EIP-3009', () => {
  test('hashes any authorization for any token as viem does', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1 })
    fc.assert(
      fc.property(message, address, chainId, name, (message, asset, chain, name) => {
        const extra = { name, version: '2' }
        const offer = createOffer({ network: `eip155:${chain}`, asset, extra })
        const authorization = {
          ...message,
          value: message.value.toString(),
          validAfter: message.validAfter.toString(),
          validBefore: message.validBefore.toString(),
        }
        const own = digestOf(eip3009, { signature: anySignature, authorization }, offer)
        const expected = hashTypedData({
          domain: { name, version: '2', chainId: chain, verifyingContract: asset },
          types: tokenTypes,
          primaryType: 'TransferWithAuthorization',
          message,
        })
        expect(own).toBe(expected)
      }),
    )
  })

  test('the same signing domain is not taken for another offer', async () => {
    const offer = createOffer()
    const { payload } = await signV2(buyer, offer)
    const first = digestOf(eip3009, payload, offer)
    const elsewhere = createOffer({ network: 'eip155:8453' })
    expect(digestOf(eip3009, payload, elsewhere)).not.toBe(first)
    expect(digestOf(eip3009, payload, offer)).toBe(first)
  })
})

describe('a balance at Circle Gateway', () => {
  const walletOffer = (chain: number, contract: string) =>
    createOffer({
      ...{ network: `eip155:${chain}`, transferMethod: 'gateway-wallet', v1Network: null },
      extra: { name: 'GatewayWalletBatched', version: '1', verifyingContract: contract },
    })

  test('is signed for the wallet, not for the token', () => {
    fc.assert(
      fc.property(message, address, chainId, (message, verifyingContract, chain) => {
        const authorization = {
          ...message,
          value: message.value.toString(),
          validAfter: message.validAfter.toString(),
          validBefore: message.validBefore.toString(),
        }
        const payload = { signature: anySignature, authorization }
        const own = digestOf(gatewayWallet, payload, walletOffer(chain, verifyingContract))
        const domain = { name: 'GatewayWalletBatched', version: '1', chainId: chain }
        const expected = hashTypedData({
          domain: { ...domain, verifyingContract },
          ...{ types: tokenTypes, primaryType: 'TransferWithAuthorization', message },
        })
        expect(own).toBe(expected)
      }),
    )
  })

  test('has keys of its own, and none without a wallet', async () => {
    const { payload } = await signV2(buyer, createOffer())
    const wallet = `0x${'AB'.repeat(20)}`
    const read = gatewayWallet.read(payload, walletOffer(84532, wallet))
    const ofToken = eip3009.read(payload, createOffer())
    expect(read?.uniqueBy.slice(0, 2)).toEqual(['gateway-wallet', wallet.toLowerCase()])
    expect(read?.uniqueBy.slice(2)).toEqual(ofToken?.uniqueBy.slice(2))
    expect(gatewayWallet.read(payload, walletOffer(84532, 'not an address'))).toBeNull()
  })
})

describe('Permit2', () => {
  /** What the official client hands to its signer, beside what it sends. */
  async function permitOf(offer: Offer) {
    const asked: Parameters<typeof buyer.signTypedData>[0][] = []
    const signer = {
      address: buyer.address,
      signTypedData(typedData: never) {
        asked.push(typedData)
        return buyer.signTypedData(typedData)
      },
    }
    const client = new ExactEvmScheme(signer)
    const { requirements } = offer
    const accepted = { ...requirements, extra: { ...requirements.extra } }
    const { payload } = await client.createPaymentPayload(2, accepted)
    const [typedData] = asked
    if (typedData === undefined) throw new Error('The client signed nothing.')
    return { payload, typedData }
  }

  test('hashes what the official client signs', async () => {
    await fc.assert(
      fc.asyncProperty(uint256, address, address, chainId, async (amount, asset, payTo, chain) => {
        const network = `eip155:${chain}` as const
        const offer = createPermit2Offer({ network, asset, payTo, amount: amount.toString() })
        const { payload, typedData } = await permitOf(offer)
        expect(digestOf(permit2, payload, offer)).toBe(hashTypedData(typedData))
      }),
      { numRuns: 25 },
    )
  })

  test('recovers the payer of the official client', async () => {
    const offer = createPermit2Offer()
    const transfer = permit2.read((await permitOf(offer)).payload, offer)
    if (transfer === null) throw new Error('The payload was not read.')
    const signer = recoverSigner(transfer.digest(offer), transfer.signature)
    expect(signer).toBe(buyer.address.toLowerCase())
    expect(transfer.payer).toBe(signer)
  })

  test('a spender that is not the x402 proxy could take the money elsewhere: not read', async () => {
    const offer = createPermit2Offer()
    const { payload } = await permitOf(offer)
    const changed = structuredClone(payload) as { permit2Authorization: { spender: string } } // broken below
    changed.permit2Authorization.spender = buyer.address
    expect(permit2.read({ ...changed }, offer)).toBeNull()
    expect(permit2.read(payload, offer)).not.toBeNull()
  })
})

test('the payload of one method is not read as the other', async () => {
  const [token, permit] = [createOffer(), createPermit2Offer()]
  expect(permit2.read((await signV2(buyer, token)).payload, permit)).toBeNull()
  expect(eip3009.read((await signV2(buyer, permit)).payload, token)).toBeNull()
})
