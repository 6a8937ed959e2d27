import { randomBytes } from 'node:crypto'
import {
  type Address,
  bytesToHex,
  concatHex,
  encodeAbiParameters,
  encodeFunctionData,
  type Hex,
  type LocalAccount,
  parseAbi,
  toHex,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Offer, PaymentPayload } from '../../src/core/payment.ts'
import type { Facilitator } from '../../src/facilitator/facilitator.ts'
import { readSettlement } from '../../src/x402/settle-outcome.ts'
import { seller } from '../support/accounts.ts'
import { type Chain, startChain, WALLET_FACTORY } from '../support/chain.ts'
import { approvePermit2 } from '../support/permit2.ts'
import { createOffer, createPermit2Offer, paymentOf } from '../x402/payments.ts'

export interface ContractSubject {
  readonly facilitator: Facilitator
  close(): Promise<void>
}

const PRICE = 1_000n
const offer = createOffer({ amount: PRICE.toString() })
const permit2Offer = createPermit2Offer({ amount: PRICE.toString() })

/** EIP-6492, "Specification": what stands at the end of a signature for a wallet to come. */
const ERC6492_SUFFIX: Hex = '0x6492649264926492649264926492649264926492649264926492649264926492'
const FACTORY_ABI = parseAbi([
  'function deploy(address owner, bytes32 salt) returns (address)',
  'function addressOf(address owner, bytes32 salt) view returns (address)',
])

/**
 * What whoever verifies and settles must do, on a real chain. Run by the client of a remote service,
 * by the local facilitator and by the client of a served one.
 *
 * @param open Opens one that allows `WALLET_FACTORY` to be called.
 */
export function facilitatorContract(
  name: string,
  open: (chain: Chain) => Promise<ContractSubject>,
): void {
  describe(`${name} keeps the facilitator's contract`, () => {
    let chain: Chain
    let subject: ContractSubject
    let facilitator: Facilitator

    beforeAll(async () => {
      chain = await startChain()
      subject = await open(chain)
      facilitator = subject.facilitator
    })
    afterAll(async () => {
      await subject.close()
      await chain.close()
    })

    const fund = async <Account extends { address: Address }>(payer: Account): Promise<Account> => {
      await chain.mint(payer.address, PRICE)
      return payer
    }
    const newPayer = (): Promise<LocalAccount> => fund(privateKeyToAccount(generatePrivateKey()))
    const settle = async (payload: PaymentPayload, asked: Offer = offer) => {
      const answer = await facilitator.settle(payload, asked.requirements)
      const { authorization, permit2Authorization } = payload.payload as never // signed above
      const payer = Object(authorization ?? permit2Authorization).from
      return { answer, settlement: readSettlement(answer, { payer, offer: asked }) }
    }

    test('supports exact on the network, in version 2', async () => {
      const { kinds } = await facilitator.supported()
      expect(kinds).toContainEqual(
        expect.objectContaining({ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }),
      )
    })

    test('verifies and settles an EIP-3009 payment: the money moves once', async () => {
      const payload = await paymentOf(await newPayer(), offer)
      const before = await chain.balanceOf(seller.address)
      expect(await facilitator.verify(payload, offer.requirements)).toMatchObject({ isValid: true })
      expect(await chain.balanceOf(seller.address)).toBe(before)
      const { answer, settlement } = await settle(payload)
      expect(settlement).toMatchObject({ kind: 'settled', receipt: { amount: PRICE } })
      const receipt = await chain.publicClient.getTransactionReceipt({
        hash: answer.transaction as Hex, // settled
      })
      expect(receipt.status).toBe('success')
      expect(await chain.balanceOf(seller.address)).toBe(before + PRICE)
    })

    test('verifies and settles a Permit2 payment', async () => {
      const payer = await newPayer()
      await approvePermit2(chain, payer)
      const payload = await paymentOf(payer, permit2Offer)
      const verdict = await facilitator.verify(payload, permit2Offer.requirements)
      expect(verdict).toMatchObject({ isValid: true })
      expect((await settle(payload, permit2Offer)).settlement.kind).toBe('settled')
      expect(await chain.balanceOf(payer.address)).toBe(0n)
    })

    test('refuses a Permit2 payment without an allowance', async () => {
      const payload = await paymentOf(await newPayer(), permit2Offer)
      const verdict = await facilitator.verify(payload, permit2Offer.requirements)
      expect(verdict).toMatchObject({ isValid: false, invalidReason: 'permit2_allowance_required' })
    })

    test('settled again with identical bytes: no more money moves, and nobody says it did not', async () => {
      const payer = await newPayer()
      const payload = await paymentOf(payer, offer)
      const first = await settle(payload)
      await chain.mint(payer.address, PRICE)
      const second = await settle(payload)
      expect(await chain.balanceOf(payer.address)).toBe(PRICE)
      // A refusal would be taken for "it has not moved".
      expect(second.settlement.kind).not.toBe('rejected')
      if (second.settlement.kind === 'settled') expect(second.answer).toEqual(first.answer)
    })

    test('settled several times at once: the money moves once', async () => {
      const payer = await newPayer()
      const payload = await paymentOf(payer, offer)
      await chain.mint(payer.address, 9n * PRICE)
      const all = await Promise.all(Array.from({ length: 10 }, () => settle(payload)))
      expect(all.map(({ settlement }) => settlement.kind)).toContain('settled')
      expect(all.map(({ settlement }) => settlement.kind)).not.toContain('rejected')
      expect(await chain.balanceOf(payer.address)).toBe(9n * PRICE)
    })

    test.each<[string, string, (payer: LocalAccount) => Promise<PaymentPayload>]>([
      ['is over', 'valid_before', payer => timed(payer, { maxTimeoutSeconds: 1 })],
      ['is of a wrong amount', 'value', payer => paymentOf(payer, offer, { amount: '999' })],
      [
        'goes to somebody else',
        'recipient_mismatch',
        payer => paymentOf(payer, offer, { payTo: WALLET_FACTORY }),
      ],
      ['has a wrong signature', 'signature', payer => forged(payer)],
    ])('refuses a payment that %s, when it verifies and when it settles', async (_, why, make) => {
      const payer = await newPayer()
      const payload = await make(payer)
      const reason = expect.stringContaining(why)
      const verdict = await facilitator.verify(payload, offer.requirements)
      expect(verdict).toMatchObject({ isValid: false, invalidReason: reason })
      expect((await settle(payload)).settlement).toEqual({ kind: 'rejected', reason })
      expect(await chain.balanceOf(payer.address)).toBe(PRICE)
    })

    test('refuses a payment without the money for it', async () => {
      const payload = await paymentOf(privateKeyToAccount(generatePrivateKey()), offer)
      const reason = expect.stringMatching(/insufficient_balance|simulation_failed/)
      const verdict = await facilitator.verify(payload, offer.requirements)
      expect(verdict).toMatchObject({ isValid: false, invalidReason: reason })
      const { answer } = await settle(payload)
      expect(answer).toMatchObject({ success: false, transaction: '' })
    })

    test('settles for a smart wallet (EIP-1271)', async () => {
      const owner = privateKeyToAccount(generatePrivateKey())
      const wallet = await fund({ address: bytesToHex(randomBytes(20)) })
      await chain.deployWallet(wallet.address, owner.address)
      const payload = await paymentOf({ ...owner, address: wallet.address }, offer)
      // The wallet's word, in a form that is no plain signature.
      expect(await facilitator.verify(payload, offer.requirements)).toMatchObject({ isValid: true })
      const { answer } = await settle(longer(payload))
      expect(answer).toMatchObject({ success: true })
      expect(await chain.balanceOf(wallet.address)).toBe(0n)
    })

    test('deploys a smart wallet through an allowed factory (EIP-6492)', async () => {
      const owner = privateKeyToAccount(generatePrivateKey())
      const salt = toHex(randomBytes(32))
      const args = [owner.address, salt] as const
      const address = await chain.publicClient.readContract({
        ...{ address: WALLET_FACTORY, abi: FACTORY_ABI, functionName: 'addressOf', args },
      })
      await fund({ address })
      const payload = await paymentOf({ ...owner, address }, offer)
      const call = encodeFunctionData({ abi: FACTORY_ABI, functionName: 'deploy', args })
      const wrapped = withSignature(payload, signature =>
        concatHex([
          encodeAbiParameters(
            [{ type: 'address' }, { type: 'bytes' }, { type: 'bytes' }],
            [WALLET_FACTORY, call, concatHex([signature, '0x00'])],
          ),
          ERC6492_SUFFIX,
        ]),
      )
      expect(await facilitator.verify(wrapped, offer.requirements)).toMatchObject({ isValid: true })
      expect((await settle(wrapped)).answer).toMatchObject({ success: true })
      expect(await chain.balanceOf(address)).toBe(0n)
    })
  })
}

function timed(payer: LocalAccount, change: { maxTimeoutSeconds: number }) {
  return paymentOf(payer, offer, change)
}

async function forged(payer: LocalAccount): Promise<PaymentPayload> {
  const other = privateKeyToAccount(generatePrivateKey())
  return paymentOf({ address: payer.address, signTypedData: other.signTypedData }, offer)
}

/** A smart wallet reads as much of a signature as it likes. */
function longer(payload: PaymentPayload): PaymentPayload {
  return withSignature(payload, signature => concatHex([signature, '0x00']))
}

function withSignature(payload: PaymentPayload, change: (signature: Hex) => Hex): PaymentPayload {
  const signature = change(payload.payload['signature'] as Hex) // signed by the official client
  return { ...payload, payload: { ...payload.payload, signature } }
}
