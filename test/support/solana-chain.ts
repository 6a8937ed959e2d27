import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { FailedTransactionMetadata, LiteSVM } from 'litesvm'
import { decodeBase58, encodeBase58 } from '../../src/x402/base58.ts'
import { associatedTokenAccount, TOKEN_PROGRAM } from '../../src/x402/solana-address.ts'
import { decodeTransaction } from '../../src/x402/solana-transaction.ts'
import { publicTestKey } from './accounts.ts'
import { readJson, serveLocally } from './json-server.ts'

export const SOLANA_DEVNET = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1'
/** USDC on devnet, whose mint the local chain gets. */
export const SOLANA_USDC = '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU'
/** What x402 version 1 calls them (config/networks.yaml). */
export const SOLANA_IDS = {
  solana: 'solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp',
  'solana-devnet': SOLANA_DEVNET,
} as const
export type SolanaNetworkName = keyof typeof SOLANA_IDS

type LiteAddress = Parameters<LiteSVM['getAccount']>[0]

/** An Ed25519 key and its address. THESE KEYS ARE PUBLIC, as those of accounts.ts are. */
export interface SolanaAccount {
  readonly address: string
  /** 64 bytes in base58: seed and public key, as wallets export it. */
  readonly secret: string
  sign(message: Uint8Array): Uint8Array
}

export function solanaAccount(name: string): SolanaAccount {
  const seed = Buffer.from(publicTestKey(name).slice(2), 'hex')
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const key: KeyObject = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
  return {
    address: encodeBase58(raw),
    secret: encodeBase58(Buffer.concat([seed, raw])),
    sign: message => sign(null, message, key),
  }
}

/** A transaction that the chain has executed. */
export interface Executed {
  readonly signature: string
  readonly transaction: string
  readonly failed: boolean
  readonly slot: number
  readonly blockTime: number
}

/** A Solana in this process that executes real programs, with JSON-RPC in front of it. */
export interface SolanaChain {
  readonly rpcUrl: string
  readonly executed: readonly Executed[]
  readonly calls: string[]
  /** Gives an owner an account for a token, with so much in it. */
  fund(owner: string, amount: bigint, mint?: string, program?: string): void
  addMint(mint: string, program?: string): void
  /** Gives it what fees are paid with. */
  addLamports(address: string): void
  balanceOf(owner: string, mint?: string, program?: string): bigint
  /** Rejects where the transaction would fail. */
  simulate(transaction: string): void
  /** Executes it. Throws where the chain takes it into no block. */
  send(transaction: string): string
  /** Every blockhash until now expires. */
  expireBlockhash(): void
  /** Sets the time that its blocks have, in Unix seconds. */
  setTime(seconds: number): void
  close(): Promise<void>
}

export async function startSolanaChain(): Promise<SolanaChain> {
  const svm = new LiteSVM()
  const executed: Executed[] = []
  const calls: string[] = []
  const now = (): number => Number(svm.getClock().unixTimestamp)
  const chain: Omit<SolanaChain, 'rpcUrl' | 'close'> = {
    executed,
    calls,
    addMint(mint, program = TOKEN_PROGRAM) {
      const data = Buffer.alloc(82)
      data.writeUInt8(6, 44)
      data.writeUInt8(1, 45)
      setAccount(svm, { address: mint, program, data })
    },
    fund(owner, amount, mint = SOLANA_USDC, program = TOKEN_PROGRAM) {
      const data = Buffer.alloc(165)
      data.set(bytesOf(mint), 0)
      data.set(bytesOf(owner), 32)
      data.writeBigUInt64LE(amount, 64)
      data.writeUInt8(1, 108)
      setAccount(svm, { address: accountOf(owner, program, mint), program, data })
    },
    addLamports(address) {
      setAccount(svm, { address, program: '1'.repeat(32), data: Buffer.alloc(0) })
    },
    balanceOf(owner, mint = SOLANA_USDC, program = TOKEN_PROGRAM) {
      const account = svm.getAccount(lite(accountOf(owner, program, mint)))
      return account.exists ? Buffer.from(account.data).readBigUInt64LE(64) : 0n
    },
    simulate(transaction) {
      const result = svm.withSigverify(false).simulateTransaction(toLite(transaction))
      svm.withSigverify(true)
      if (result instanceof FailedTransactionMetadata) throw new Error(result.toString())
    },
    send(transaction) {
      const read = toLite(transaction)
      const signature = encodeBase58(decodeTransaction(transaction)?.signatures[0] ?? bytesOf(''))
      const result = svm.sendTransaction(read)
      const failed = result instanceof FailedTransactionMetadata
      if (failed && result.meta().logs().length === 0) throw new Error(result.toString())
      const slot = Number(svm.getClock().slot)
      executed.unshift({ signature, transaction, failed, slot, blockTime: now() })
      return signature
    },
    expireBlockhash: () => svm.expireBlockhash(),
    setTime(seconds) {
      const clock = svm.getClock()
      clock.unixTimestamp = BigInt(seconds)
      svm.setClock(clock)
    },
  }
  chain.setTime(Math.floor(Date.now() / 1000))
  chain.addMint(SOLANA_USDC)
  const server = await serveLocally(async (request, response) => {
    const body = await readJson(request)
    const { id, method, params } = Object(body.kind === 'json' ? body.value : null)
    calls.push(method)
    const result = answer(svm, chain, method, params ?? [])
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  })
  return { ...chain, rpcUrl: server.url, close: server.close }
}

/** As much of Solana's JSON-RPC as buyers and the resolver ask. */
function answer(
  svm: LiteSVM,
  chain: Pick<SolanaChain, 'executed'>,
  method: string,
  params: readonly unknown[],
): unknown {
  const context = { slot: Number(svm.getClock().slot) }
  const [first] = params.map(String)
  switch (method) {
    case 'getGenesisHash':
      return `${SOLANA_DEVNET.slice('solana:'.length)}genesis`
    case 'getLatestBlockhash':
      return { context, value: { blockhash: svm.latestBlockhash(), lastValidBlockHeight: 150 } }
    case 'isBlockhashValid':
      return { context, value: first === svm.latestBlockhash() }
    case 'getAccountInfo':
      return { context, value: accountInfo(svm, first ?? '') }
    case 'getMultipleAccounts': {
      const addresses = Array.isArray(params[0]) ? params[0].map(String) : []
      return { context, value: addresses.map(address => accountInfo(svm, address)) }
    }
    case 'simulateTransaction':
      return { context, value: { err: null, logs: [], accounts: null, unitsConsumed: 20_000 } }
    case 'getSignaturesForAddress':
      return chain.executed
        .filter(({ transaction }) => decodeTransaction(transaction)?.keys.includes(first ?? ''))
        .map(({ signature, blockTime }) => ({ signature, blockTime }))
    case 'getTransaction': {
      const found = chain.executed.find(({ signature }) => signature === first)
      if (found === undefined) return null
      const meta = { err: found.failed ? { InstructionError: [2, 'Custom'] } : null }
      return { slot: found.slot, transaction: [found.transaction, 'base64'], meta }
    }
    default:
      throw new Error(`The local Solana does not answer ${method}.`)
  }
}

function accountInfo(svm: LiteSVM, address: string): unknown {
  const account = svm.getAccount(lite(address))
  if (!account.exists) return null
  const { data, programAddress, lamports, executable, space } = account
  return {
    data: [Buffer.from(data).toString('base64'), 'base64'],
    owner: programAddress,
    lamports: Number(lamports),
    executable,
    rentEpoch: 0,
    space: Number(space),
  }
}

function setAccount(
  svm: LiteSVM,
  { address, program, data }: { address: string; program: string; data: Buffer },
): void {
  svm.setAccount({
    address: lite(address),
    data: new Uint8Array(data),
    executable: false,
    lamports: 1_000_000_000n,
    programAddress: lite(program),
    space: BigInt(data.length),
  } as unknown as Parameters<LiteSVM['setAccount']>[0]) // lamports are a branded bigint there
}

function toLite(transaction: string): Parameters<LiteSVM['sendTransaction']>[0] {
  const read = decodeTransaction(transaction)
  if (read === null) throw new Error('This is no transaction.')
  const { message, keys, signatures } = read
  const signed = signatures.map((signature, place) => [keys[place], new Uint8Array(signature)])
  const lite = { messageBytes: new Uint8Array(message), signatures: Object.fromEntries(signed) }
  return lite as unknown as Parameters<LiteSVM['sendTransaction']>[0] // branded bytes there
}

function accountOf(owner: string, program: string, mint: string): string {
  const account = associatedTokenAccount(owner, program, mint)
  if (account === null) throw new Error('Not an address.')
  return account
}

function bytesOf(address: string): Uint8Array {
  return decodeBase58(address) ?? new Uint8Array()
}

function lite(address: string): LiteAddress {
  return address as LiteAddress // branded text there
}
