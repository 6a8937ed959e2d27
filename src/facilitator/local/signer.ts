import {
  type Address,
  bytesToHex,
  createClient,
  type Hex,
  hexToBytes,
  http,
  isAddressEqual,
  isHex,
  keccak256,
  numberToHex,
  parseTransaction,
  recoverTransactionAddress,
  serializeTransaction,
  type TransactionSerializedEIP1559,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { SigningKey } from '../../config/gateway-config.ts'
import { signDigest } from '../../x402/eip712.ts'
import type { Fees } from './fees.ts'

/** A transaction of type 2 (EIP-1559) that calls a contract and carries no money. */
export interface UnsignedTransaction extends Fees {
  readonly chainId: number
  readonly nonce: number
  readonly to: Address
  readonly data: Hex
  readonly gas: bigint
}

/** Signs transactions of one account. */
export interface TransactionSigner {
  readonly address: Address
  /** The signed transaction, ready to be sent. Rejects with `SignerError` when there is none. */
  sign(transaction: UnsignedTransaction): Promise<Hex>
}

/** The remote signer gave no signature that can be used. Its own words are never repeated. */
export class SignerError extends Error {}

/** How long a remote signer may take for one signature. */
const SIGN_MS_MAX = 5_000
const ANSWER_BYTES_MAX = 256 * 1024

export function createSigner(key: SigningKey): TransactionSigner {
  return key.kind === 'private-key'
    ? createLocalSigner(key.privateKey)
    : createRemoteSigner(key.url, key.address)
}

/** The library's own curve takes ten times as long, and it is most of what a settlement costs. */
function createLocalSigner(privateKey: Hex): TransactionSigner {
  const { address } = privateKeyToAccount(privateKey)
  const key = hexToBytes(privateKey)
  return {
    address,
    async sign(transaction) {
      const unsigned = { ...transaction, type: 'eip1559' } as const
      const digest = keccak256(serializeTransaction(unsigned), 'bytes')
      const { compact, yParity } = signDigest(key, digest)
      const [r, s] = [bytesToHex(compact.subarray(0, 32)), bytesToHex(compact.subarray(32))]
      return serializeTransaction(unsigned, { r, s, yParity })
    },
  }
}

/**
 * A service that keeps the key: `eth_signTransaction` over JSON-RPC, as web3signer and Clef have it
 * (ethereum/execution-apis). What comes back is believed only when it is the transaction that was
 * asked for, signed by this account.
 */
function createRemoteSigner(url: string, address: Address): TransactionSigner {
  const client = createClient({
    transport: http(url, {
      retryCount: 0,
      timeout: SIGN_MS_MAX,
      maxResponseBodySize: ANSWER_BYTES_MAX,
      fetchOptions: { redirect: 'error' },
    }),
  })
  // The answer is checked below; the client's types would not check it.
  const request = client.request as (call: object) => Promise<unknown> // see above
  return {
    address,
    async sign(transaction) {
      const params = [toRpc(address, transaction)]
      const answer = await request({ method: 'eth_signTransaction', params }).catch(() => null)
      const raw = readRaw(answer)
      if (raw === null) throw new SignerError('The remote signer gave no signed transaction.')
      const isOurs = await isSignedBy(raw, address, transaction).catch(() => false)
      if (!isOurs) throw new SignerError('The remote signer signed something else.')
      return raw
    },
  }
}

function toRpc(from: Address, transaction: UnsignedTransaction): Record<string, string> {
  return {
    from,
    to: transaction.to,
    data: transaction.data,
    value: '0x0',
    gas: numberToHex(transaction.gas),
    nonce: numberToHex(transaction.nonce),
    chainId: numberToHex(transaction.chainId),
    maxFeePerGas: numberToHex(transaction.maxFeePerGas),
    maxPriorityFeePerGas: numberToHex(transaction.maxPriorityFeePerGas),
  }
}

/** web3signer answers with the bytes, Clef and geth with an object around them. */
function readRaw(answer: unknown): TransactionSerializedEIP1559 | null {
  const raw = typeof answer === 'object' && answer !== null && 'raw' in answer ? answer.raw : answer
  if (typeof raw !== 'string' || !raw.startsWith('0x02') || !isHex(raw)) return null
  return raw as TransactionSerializedEIP1559 // type 2 begins with 0x02
}

async function isSignedBy(
  raw: TransactionSerializedEIP1559,
  address: Address,
  asked: UnsignedTransaction,
): Promise<boolean> {
  const signed = parseTransaction(raw)
  const names = ['chainId', 'gas', 'maxFeePerGas', 'maxPriorityFeePerGas'] as const
  const isSame =
    names.every(name => signed[name] === asked[name]) &&
    (signed.nonce ?? 0) === asked.nonce &&
    (signed.value ?? 0n) === 0n &&
    (signed.data ?? '0x').toLowerCase() === asked.data.toLowerCase() &&
    signed.to?.toLowerCase() === asked.to.toLowerCase()
  const signer = await recoverTransactionAddress({ serializedTransaction: raw })
  return isSame && isAddressEqual(signer, address)
}
