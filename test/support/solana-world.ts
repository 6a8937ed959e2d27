import { x402Client } from '@x402/core/client'
import { x402Facilitator } from '@x402/core/facilitator'
import { wrapFetchWithPayment } from '@x402/fetch'
import type { ClientSvmSigner, FacilitatorSvmSigner } from '@x402/svm'
import { ExactSvmScheme as ExactSvmClient } from '@x402/svm/exact/client'
import { ExactSvmScheme } from '@x402/svm/exact/facilitator'
import { ExactSvmSchemeV1 } from '@x402/svm/exact/v1/facilitator'
import { createSigner, wrapFetchWithPayment as wrapFetchWithPaymentV1 } from 'x402-fetch'
import { decodeTransaction } from '../../src/x402/solana-transaction.ts'
import { type Intercept, type ReferenceFacilitator, serveFacilitator } from './facilitator.ts'
import {
  SOLANA_IDS,
  type SolanaAccount,
  type SolanaChain,
  type SolanaNetworkName,
  solanaAccount,
  startSolanaChain,
} from './solana-chain.ts'
import { startWeatherApi, type WeatherApi } from './weather-api.ts'

export const solanaBuyer = solanaAccount('buyer on Solana')
export const solanaSeller = solanaAccount('seller on Solana')
export const feePayer = solanaAccount('fee payer on Solana')
export const otherFeePayer = solanaAccount('other fee payer on Solana')

/** A Solana, the reference facilitator on it, an API and a buyer who has money. */
export interface SolanaWorld {
  readonly chain: SolanaChain
  readonly facilitator: ReferenceFacilitator
  readonly api: WeatherApi
  /** What reached the seller until now. */
  earned(): bigint
  close(): Promise<void>
}

export async function startSolanaWorld(
  options: SolanaFacilitatorOptions = {},
): Promise<SolanaWorld> {
  const chain = await startSolanaChain()
  chain.fund(solanaBuyer.address, 1_000_000_000n)
  chain.fund(solanaSeller.address, 0n)
  for (const { address } of [feePayer, otherFeePayer]) chain.addLamports(address)
  const facilitator = await startSolanaFacilitator(chain, options)
  const api = await startWeatherApi()
  return {
    chain,
    facilitator,
    api,
    earned: () => chain.balanceOf(solanaSeller.address),
    async close() {
      await Promise.all([api.close(), facilitator.close()])
      await chain.close()
    },
  }
}

export interface SolanaFacilitatorOptions {
  /** The x402 versions that it speaks. */
  readonly versions?: readonly (1 | 2)[]
  /** The chain is the same, whatever they call it. */
  readonly network?: SolanaNetworkName
  readonly intercept?: Intercept
}

/** The facilitator that the x402 project publishes, executing in this process. */
export function startSolanaFacilitator(
  chain: SolanaChain,
  options: SolanaFacilitatorOptions = {},
): Promise<ReferenceFacilitator> {
  const { versions = [1, 2], network = 'solana-devnet' } = options
  const facilitator = new x402Facilitator()
  const signer = facilitatorSigner(chain, [feePayer, otherFeePayer])
  if (versions.includes(2)) facilitator.register(SOLANA_IDS[network], new ExactSvmScheme(signer))
  // The v1 names are not CAIP-2, whatever the type of the parameter says.
  const v1Network = network as unknown as `${string}:${string}` // see above
  if (versions.includes(1)) facilitator.registerV1(v1Network, new ExactSvmSchemeV1(signer))
  const { intercept = (_, next) => next() } = options
  return serveFacilitator(facilitator, (operation, next, body) => {
    const advertised = async () => {
      const answer = await next()
      return operation === 'supported' ? advertising(feePayer, answer) : answer
    }
    return intercept(operation, advertised, body)
  })
}

/** The same answer with this fee payer: the library picks one of its own at random. */
export function advertising<T>({ address }: SolanaAccount, answer: T): T {
  const text = JSON.stringify(answer)
  return JSON.parse(text.replaceAll(/"feePayer":"\w+"/g, `"feePayer":"${address}"`))
}

function facilitatorSigner(
  chain: SolanaChain,
  accounts: readonly SolanaAccount[],
): FacilitatorSvmSigner {
  return {
    getAddresses: () => accounts.map(({ address }) => address as never), // branded text there
    async signTransaction(transaction, payer) {
      const account = accounts.find(({ address }) => address === payer)
      if (account === undefined) throw new Error('Not one of my fee payers.')
      return signedBy(account, transaction)
    },
    simulateTransaction: async transaction => chain.simulate(transaction),
    sendTransaction: async transaction => chain.send(transaction),
    confirmTransaction: async signature => {
      const found = chain.executed.find(one => one.signature === signature)
      if (found === undefined || found.failed) throw new Error('It is in no block.')
    },
  }
}

/** Puts an account's signature into its place. */
export function signedBy({ address, sign }: SolanaAccount, transaction: string): string {
  const read = decodeTransaction(transaction)
  const place = read?.keys.indexOf(address) ?? -1
  if (read === null || place === -1) throw new Error('The transaction has no place for it.')
  const bytes = Buffer.from(transaction, 'base64')
  bytes.set(sign(read.message), 1 + 64 * place)
  return bytes.toString('base64')
}

/** @x402/svm's buyer. It asks the chain for a blockhash and the mint. */
export function solanaClient(chain: SolanaChain, account = solanaBuyer): x402Client {
  const signer = {
    address: account.address,
    signTransactions: async (transactions: readonly { messageBytes: Uint8Array }[]) =>
      transactions.map(({ messageBytes }) => ({ [account.address]: account.sign(messageBytes) })),
  } as unknown as ClientSvmSigner // its addresses and signatures are branded
  const client = new ExactSvmClient(signer, { rpcUrl: chain.rpcUrl })
  const schemes = [{ network: 'solana:*' as const, client }]
  return x402Client.fromConfig({ schemes, spendControls: false })
}

export function payingOnSolana(chain: SolanaChain, account = solanaBuyer): typeof fetch {
  return wrapFetchWithPayment(fetch, solanaClient(chain, account)) as typeof fetch // same calls
}

/** The buyer of version 1, which has no setting for the chain but its RPC. */
export async function payingOnSolanaV1(
  chain: SolanaChain,
  network: SolanaNetworkName = 'solana-devnet',
): Promise<typeof fetch> {
  const signer = await createSigner(network, solanaBuyer.secret)
  const svmConfig = { rpcUrl: chain.rpcUrl }
  const paying = wrapFetchWithPaymentV1(fetch, signer, undefined, undefined, { svmConfig })
  return paying as typeof fetch // same calls
}

/** The value of a v2 payment header for what a URL asks. */
export async function signOnSolana(
  chain: SolanaChain,
  url: string,
  change: (challenge: Challenge) => Challenge = challenge => challenge,
): Promise<string> {
  const header = (await fetch(url)).headers.get('payment-required') ?? ''
  const challenge: Challenge = JSON.parse(Buffer.from(header, 'base64').toString())
  const payload = await solanaClient(chain).createPaymentPayload(change(structuredClone(challenge)))
  // What is signed is another thing than what is said to be accepted.
  const presented = { ...payload, accepted: challenge.accepts[0] }
  return Buffer.from(JSON.stringify(presented)).toString('base64')
}

export type Challenge = Parameters<x402Client['createPaymentPayload']>[0]

export function solanaYaml(
  { facilitator, api }: { facilitator: { url: string }; api: { url: string } },
  extra: {
    readonly network?: SolanaNetworkName
    readonly top?: string
    readonly routes?: string
  } = {},
): string {
  return `
server: {listen: "127.0.0.1:0"}
payTo: {solana: ${solanaSeller.address}}
accepts: [${extra.network ?? 'solana-devnet'}]
facilitators: ["${facilitator.url}"]
upstreams: {weather: {url: "${api.url}"}}
${extra.top ?? ''}
routes:
  GET /v1/weather/{city}: $0.001
  POST /v1/report: {price: $0.25, settle: before-upstream}
  GET /v1/broken: $0.001
  /health: free
${extra.routes ?? ''}
`
}
