import {
  domainSeparator,
  type Hex,
  hexToBigInt,
  numberToHex,
  parseEventLogs,
  parseSignature,
  serializeSignature,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { buyer, FACILITATOR_PRIVATE_KEY, publicTestKey, seller } from './accounts.ts'
import {
  type Authorization,
  authorization,
  signTransfer,
  tokenDomain,
  tokenTypes,
  transferArguments,
} from './authorizations.ts'
import { type Chain, startChain } from './chain.ts'
import { testDollarAbi } from './token/abi.ts'
import artifact from './token/artifact.json' with { type: 'json' }
import { hashSources, readSources } from './token/sources.ts'
import { createSender } from './token-sender.ts'

const SECP256K1_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const facilitator = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)

let chain: Chain
let send: ReturnType<typeof createSender>
/** A new payer for every test, with one dollar: nothing leaks from one test to the next. */
let payer: typeof buyer
let payers = 0

beforeAll(async () => {
  chain = await startChain()
  send = createSender(chain, facilitator)
})
afterAll(() => chain.close())
beforeEach(async () => {
  payers += 1
  payer = privateKeyToAccount(publicTestKey(`token test ${payers}`))
  await chain.mint(payer.address, 1_000_000n)
})

const read = <Name extends 'nonces' | 'allowance' | 'authorizationState'>(
  functionName: Name,
  args: readonly unknown[],
) =>
  chain.publicClient.readContract({
    address: chain.token,
    abi: testDollarAbi,
    functionName,
    args: args as never, // viem cannot tie the arguments to a name that is a type parameter
  })

const transfer = (message: Authorization, signature: Hex) =>
  send('transferWithAuthorization', [...transferArguments(message), signature])

test('the committed artifact was compiled from the sources beside it', () => {
  expect(artifact.sourceSha256).toBe(hashSources(readSources()))
})

test('signs under the domain of USDC on Base Sepolia', async () => {
  const separator = await chain.publicClient.readContract({
    address: chain.token,
    abi: testDollarAbi,
    functionName: 'DOMAIN_SEPARATOR',
  })
  expect(separator).toBe(domainSeparator({ domain: tokenDomain(chain) }))
})

describe('transferWithAuthorization', () => {
  test('moves exactly what was signed and says which nonce it used', async () => {
    const message = authorization({ from: payer.address, to: seller.address, value: 400_000n })
    const before = await chain.balanceOf(seller.address)

    const receipt = await transfer(message, await signTransfer(chain, payer, message))

    expect(await chain.balanceOf(seller.address)).toBe(before + 400_000n)
    expect(await chain.balanceOf(payer.address)).toBe(600_000n)
    const events = parseEventLogs({ abi: testDollarAbi, logs: receipt.logs })
    expect(events.map(({ eventName, args }) => ({ eventName, args }))).toEqual([
      { eventName: 'AuthorizationUsed', args: { authorizer: payer.address, nonce: message.nonce } },
      {
        eventName: 'Transfer',
        args: { from: payer.address, to: seller.address, value: 400_000n },
      },
    ])
  })

  test('takes the signature in three parts as well', async () => {
    const message = authorization({ from: payer.address, to: seller.address })
    const { r, s, v } = parseSignature(await signTransfer(chain, payer, message))
    await send('transferWithAuthorization', [...transferArguments(message), Number(v), r, s])
    expect(await chain.balanceOf(payer.address)).toBe(0n)
  })

  test('refuses a nonce that was used', async () => {
    const message = authorization({ from: payer.address, to: seller.address, value: 1n })
    const signature = await signTransfer(chain, payer, message)
    await transfer(message, signature)
    await expect(transfer(message, signature)).rejects.toThrow('authorization is used or canceled')
    expect(await chain.balanceOf(payer.address)).toBe(999_999n)
  })

  test.each([
    ['value', { value: 2n }],
    ['receiver', { to: facilitator.address }],
    ['nonce', { nonce: numberToHex(7, { size: 32 }) }],
    ['expiry', { validBefore: 9_999_999_999n }],
  ])('refuses another %s than was signed', async (_, change) => {
    const message = authorization({ from: payer.address, to: seller.address, value: 1n })
    const signature = await signTransfer(chain, payer, message)
    await expect(transfer({ ...message, ...change }, signature)).rejects.toThrow(
      'invalid signature',
    )
  })

  test('refuses the mirror image of a signature (high s)', async () => {
    const message = authorization({ from: payer.address, to: seller.address })
    const { r, s, yParity } = parseSignature(await signTransfer(chain, payer, message))
    const mirrored = numberToHex(SECP256K1_ORDER - hexToBigInt(s), { size: 32 })
    const signature = serializeSignature({ r, s: mirrored, yParity: 1 - yParity })
    await expect(transfer(message, signature)).rejects.toThrow('invalid signature')
  })

  test.each([
    [
      'before its time',
      { validAfter: 9_999_999_998n, validBefore: 9_999_999_999n },
      'not yet valid',
    ],
    ['after its time', { validBefore: 1n }, 'expired'],
    ['for more than the payer has', { value: 1_000_001n }, 'exceeds balance'],
  ])('refuses an authorization %s', async (_, change, reason) => {
    const message = authorization({ from: payer.address, to: seller.address, ...change })
    const signature = await signTransfer(chain, payer, message)
    await expect(transfer(message, signature)).rejects.toThrow(reason)
  })
})

test('only the payee can call receiveWithAuthorization', async () => {
  const message = authorization({ from: payer.address, to: facilitator.address })
  const signature = await payer.signTypedData({
    domain: tokenDomain(chain),
    types: tokenTypes,
    primaryType: 'ReceiveWithAuthorization',
    message,
  })
  const stranger = createSender(chain, seller)
  const parameters = [...transferArguments(message), signature] as const
  await expect(stranger('receiveWithAuthorization', parameters)).rejects.toThrow(
    'must be the payee',
  )
  await send('receiveWithAuthorization', parameters)
  expect(await chain.balanceOf(facilitator.address)).toBe(1_000_000n)
})

test('a cancelled authorization reads as used and cannot be used', async () => {
  const message = authorization({ from: payer.address, to: seller.address })
  const { nonce } = message
  const cancellation = await payer.signTypedData({
    domain: tokenDomain(chain),
    types: tokenTypes,
    primaryType: 'CancelAuthorization',
    message: { authorizer: payer.address, nonce },
  })
  expect(await read('authorizationState', [payer.address, nonce])).toBe(false)
  await send('cancelAuthorization', [payer.address, nonce, cancellation])
  expect(await read('authorizationState', [payer.address, nonce])).toBe(true)

  const signature = await signTransfer(chain, payer, message)
  await expect(transfer(message, signature)).rejects.toThrow('authorization is used or canceled')
})

test('a permit sets the allowance once', async () => {
  const deadline = 9_999_999_999n
  const signature = await payer.signTypedData({
    domain: tokenDomain(chain),
    types: tokenTypes,
    primaryType: 'Permit',
    message: {
      owner: payer.address,
      spender: facilitator.address,
      value: 5n,
      nonce: 0n,
      deadline,
    },
  })
  const { r, s, v } = parseSignature(signature)
  const parameters = [payer.address, facilitator.address, 5n, deadline, Number(v), r, s] as const
  await send('permit', parameters)
  expect(await read('allowance', [payer.address, facilitator.address])).toBe(5n)
  expect(await read('nonces', [payer.address])).toBe(1n)
  await expect(send('permit', parameters)).rejects.toThrow('invalid signature')
})

test('a smart wallet pays with what its owner signed, and with nothing else', async () => {
  const wallet = privateKeyToAccount(publicTestKey('address of a smart wallet')).address
  await chain.deployWallet(wallet, payer.address)
  await chain.mint(wallet, 10n)
  const message = authorization({ from: wallet, to: seller.address, value: 10n })
  const foreign = await signTransfer(chain, buyer, message)
  await expect(transfer(message, foreign)).rejects.toThrow('invalid signature')
  await transfer(message, await signTransfer(chain, payer, message))
  expect(await chain.balanceOf(wallet)).toBe(0n)
})
