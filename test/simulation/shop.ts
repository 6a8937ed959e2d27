import { instantiateSecp256k1 } from '@bitauth/libauth/build/lib/crypto/secp256k1.js'
import type { GatewayConfig, RouteConfig, SettleMode } from '../../src/config/gateway-config.ts'
import { atomicAmount } from '../../src/core/amount.ts'
import { type NetworkId, type Offer, type PaymentKey, paymentKey } from '../../src/core/payment.ts'
import { paymentId } from '../../src/flow/fingerprint.ts'
import { checksumAddress } from '../../src/x402/address.ts'
import { eip3009 } from '../../src/x402/eip3009.ts'
import { keccak256 } from '../../src/x402/keccak.ts'
import { BEGIN_MS } from './world.ts'

export const NETWORK: NetworkId = 'eip155:84532'
/** Made from names: nothing is there on any chain. */
const TOKEN = addressNamed('token')
export const PAY_TO = addressNamed('seller')
export const AMOUNT = 1000n

const NO_QUIRKS = { supported: null, otherUrls: [] }

export const UPSTREAM_MS_MAX = 4_000
export const VERIFY_MS_MAX = 4_000
export const SETTLE_MS_MAX = 6_000

const offer: Offer = {
  requirements: {
    scheme: 'exact',
    network: NETWORK,
    amount: `${AMOUNT}`,
    asset: TOKEN,
    payTo: PAY_TO,
    maxTimeoutSeconds: 120,
    extra: { name: 'USDC', version: '2' },
  },
  amount: atomicAmount(AMOUNT),
  symbol: 'USDC',
  decimals: 6,
  transferMethod: 'eip3009',
  v1Network: 'base-sepolia',
}

const NO_CHANGES = { set: {}, remove: [] }
const NO_HEADER_RULES = { request: NO_CHANGES, response: NO_CHANGES }
const API = { ...{ name: 'api', origin: 'http://api.invalid' }, basePath: '', socketPath: null }

function route(key: string, settle: SettleMode): RouteConfig {
  const [method = '', path = ''] = key.split(' ')
  return {
    ...{ key, method, path, settle, upstream: 'api', price: { kind: 'paid', offers: [offer] } },
    ...{ description: null, mimeType: null, cors: null, timeoutMs: UPSTREAM_MS_MAX },
    ...{ billable: [{ from: 200, to: 399 }], replay: null, identifierRequired: false },
    ...{ answer: null, rewrite: null, headers: NO_HEADER_RULES, mode: 'enforce' },
    websocket: null,
    access: { allow: null, deny: null, freeQuota: null },
    rateLimits: [],
  }
}

/** Two routes, one of each settle mode, at one price. */
export function shopConfig(rpc: readonly string[]): GatewayConfig {
  return {
    server: {
      ...{
        listen: { host: '127.0.0.1', port: 0 },
        tls: null,
        http2: false,
        publicUrl: null,
        trustedProxies: [],
      },
      hosts: null,
      workers: 1,
      limits: { headerBytes: 16_384, bodyBytes: 1_048_576, requestTimeoutMs: 60_000 },
      drainTimeoutMs: 10_000,
    },
    admin: null,
    supportCacheFile: null,
    store: {
      ...{ kind: 'sqlite', path: ':memory:' },
      ...{ redeemableMs: 86_400_000, retentionMs: 30 * 86_400_000 },
    },
    networks: [
      {
        ...{ id: NETWORK, name: 'base-sepolia', v1Name: 'base-sepolia', testnet: true, rpc },
        ...{ family: 'evm', aliases: [], explorer: null },
        finality: 3,
        assets: [
          {
            ...{ symbol: 'USDC', address: TOKEN, decimals: 6, dollarPegged: true },
            ...{ eip712: { name: 'USDC', version: '2' }, transferMethod: 'eip3009' },
          },
        ],
      },
    ],
    facilitators: [
      {
        ...{ kind: 'http', name: 'simulated', url: 'http://facilitator.invalid', headers: {} },
        ...{ preset: null, auth: { kind: 'none' }, quirks: NO_QUIRKS },
        ...{ timeoutMs: VERIFY_MS_MAX, settleTimeoutMs: SETTLE_MS_MAX, concurrency: 256 },
      },
    ],
    upstreams: [
      {
        ...{ name: 'api', targets: [API], headers: {} },
        ...{ http2: false, connectTimeoutMs: 1_000, bodyTimeoutMs: 60_000 },
        ...{ health: null, tls: null },
        ...{ maxConnections: 64, maxQueue: 1_024 },
        host: { kind: 'upstream' },
      },
    ],
    routes: [
      route('GET /v1/weather/{city}', 'on-response'),
      route('POST /v1/report/{city}', 'before-upstream'),
    ],
    cors: null,
    limits: {
      unpaid: null,
      verify: {
        strangers: { requests: 1_000, perMs: 10_000 },
        newcomers: { requests: 50, perMs: 1_000 },
        smartWallets: { requests: 10, perMs: 1_000 },
        refused: { requests: 60, perMs: 60_000 },
        ...{ payerMax: 64, addressMax: 64 },
      },
    },
  }
}

/** A payment that some client has signed. Good for any request: nothing in it names one. */
export interface SignedPayment {
  /** What the story calls it. */
  readonly name: string
  readonly nonce: string
  readonly key: PaymentKey
  /** What the upstream is told. */
  readonly id: string
  /** Unix seconds. */
  readonly validBefore: number
  readonly header: string
}

/** Signed once: every seed has a chain of its own, on which no nonce was used. */
export const PAYMENTS: readonly SignedPayment[] = await signPool()

async function signPool(): Promise<SignedPayment[]> {
  const curve = await instantiateSecp256k1()
  const payers = ['ann', 'ben'].map(name => {
    const key = keccak256(Buffer.from(`farebox simulation, worth nothing: ${name}`))
    const publicKey = curve.derivePublicKeyUncompressed(key)
    if (typeof publicKey === 'string') throw new Error(publicKey)
    return {
      key,
      address: checksumAddress(`0x${keccak256(publicKey.subarray(1)).toString('hex', 12)}`),
    }
  })
  return Array.from({ length: 48 }, (_, index) => {
    const payer = payers[index % payers.length]
    if (payer === undefined) throw new Error('There are payers.')
    const nonce = `0x${keccak256(Buffer.from(`nonce ${index}`)).toString('hex')}`
    const validBefore = BEGIN_MS / 1000 + 30 + 15 * (Math.floor(index / 2) % 4)
    return sign(index, { ...payer, nonce, validBefore })
  })

  function sign(
    index: number,
    terms: { key: Uint8Array; address: string; nonce: string; validBefore: number },
  ): SignedPayment {
    const { nonce, validBefore } = terms
    const authorization = {
      ...{ from: terms.address, to: PAY_TO, value: `${AMOUNT}`, nonce },
      ...{ validAfter: '0', validBefore: `${validBefore}` },
    }
    const unsigned = eip3009.read({ signature: `0x${'00'.repeat(65)}`, authorization }, offer)
    if (unsigned === null) throw new Error('The pool holds no payment.')
    const signed = curve.signMessageHashRecoverableCompact(terms.key, unsigned.digest(offer))
    if (typeof signed === 'string') throw new Error(signed)
    const v = (27 + signed.recoveryId).toString(16)
    const signature = `0x${Buffer.from(signed.signature).toString('hex')}${v}`
    const payload = { signature, authorization }
    const accepted = offer.requirements
    const key = paymentKey(NETWORK, ...unsigned.uniqueBy)
    const json = JSON.stringify({ x402Version: 2, accepted, payload })
    return {
      ...{ name: `payment ${index}`, nonce, key, validBefore },
      id: paymentId(key),
      header: Buffer.from(json).toString('base64'),
    }
  }
}

function addressNamed(name: string): string {
  return checksumAddress(`0x${keccak256(Buffer.from(name)).toString('hex', 12)}`)
}
