import type { IncomingMessage, ServerResponse } from 'node:http'
import { x402Facilitator } from '@x402/core/facilitator'
import { toFacilitatorEvmSigner } from '@x402/evm'
import { ExactEvmScheme } from '@x402/evm/exact/facilitator'
import { ExactEvmSchemeV1 } from '@x402/evm/exact/v1/facilitator'
import {
  createErc20ApprovalGasSponsoringExtension,
  ERC20_APPROVAL_GAS_SPONSORING,
} from '@x402/extensions'
import {
  createWalletClient,
  type Hex,
  http,
  parseTransaction,
  publicActions,
  recoverTransactionAddress,
  type TransactionSerialized,
  type VerifyTypedDataParameters,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { FACILITATOR_PRIVATE_KEY } from './accounts.ts'
import { type Chain, viemChain } from './chain.ts'
import { readJson, serveLocally } from './json-server.ts'

export type Operation = 'verify' | 'settle' | 'supported'

/** `body` is sent as JSON, or as it is when it is a string. 'hang-up' ends the connection. */
export type Answer =
  | { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> }
  | 'hang-up'

/** Replaces, delays or drops an answer. `next` does the work; uncalled, nothing happens. */
export type Intercept = (
  operation: Operation,
  next: () => Promise<Answer>,
  body: unknown,
) => Promise<Answer>

/** Does something once the money has moved, and before the gateway knows. */
export function onceSettled(act: () => Promise<void> | null): Intercept {
  return async (operation, next) => {
    const answer = await next()
    if (operation === 'settle') await act()
    return answer
  }
}

export interface ReferenceFacilitator {
  readonly url: string
  /** The bodies as they came, and how often /supported was asked. */
  readonly calls: { readonly verify: unknown[]; readonly settle: unknown[]; supported: number }
  close(): Promise<void>
}

export interface FacilitatorOptions {
  readonly chain: Chain
  /** The x402 versions that it speaks. */
  readonly versions?: readonly (1 | 2)[]
  readonly intercept?: Intercept
  /** Extensions that it lists. One that sponsors approvals pays the payer their gas first. */
  readonly extensions?: readonly string[]
  /** How long a settle waits for its transaction before it answers `settlement_pending`. */
  readonly confirmationTimeoutMs?: number
  /** Contracts that it calls to deploy a payer's wallet (EIP-6492). Default: none. */
  readonly deployers?: readonly string[]
}

/** The facilitator that the x402 project publishes, over HTTP, settling on a local chain. */
export function startFacilitator(options: FacilitatorOptions): Promise<ReferenceFacilitator> {
  return serveFacilitator(createFacilitator(options), options.intercept)
}

export async function serveFacilitator(
  facilitator: x402Facilitator,
  intercept: Intercept = (_, next) => next(),
): Promise<ReferenceFacilitator> {
  const calls: ReferenceFacilitator['calls'] = { verify: [], settle: [], supported: 0 }
  const server = await serveLocally(async (request, response) => {
    const operation = operationOf(request)
    if (operation === null) return send(response, { status: 404, body: { error: 'Not found' } })
    const parsed = await readJson(request)
    const body = parsed.kind === 'json' ? parsed.value : null
    if (operation === 'supported') calls.supported += 1
    else calls[operation].push(body)
    const next = () => perform(facilitator, operation, body)
    send(response, await intercept(operation, next, body).catch(failure))
  })
  return { url: server.url, calls, close: server.close }
}

function createFacilitator(options: FacilitatorOptions): x402Facilitator {
  const { chain, versions = [1, 2], deployers = [], extensions = [] } = options
  const { signer, sponsor } = createSigner(chain, options.confirmationTimeoutMs ?? 30_000)
  const facilitator = new x402Facilitator()
  if (versions.includes(2)) {
    facilitator.register(
      `eip155:${chain.chainId}`,
      new ExactEvmScheme(signer, { eip6492AllowedFactories: [...deployers] }),
    )
  }
  for (const key of extensions) {
    const isApproval = key === ERC20_APPROVAL_GAS_SPONSORING.key
    facilitator.registerExtension(
      isApproval ? createErc20ApprovalGasSponsoringExtension(sponsor) : { key },
    )
  }
  // The v1 names are not CAIP-2, whatever the type of the parameter says.
  if (versions.includes(1)) {
    const v1Network = v1NetworkName(chain.chainId) as `${string}:${string}` // see above
    facilitator.registerV1(v1Network, new ExactEvmSchemeV1(signer))
  }
  return facilitator
}

/** Names of x402 v1 for the chains that tests use (x402 specification v1, appendix). */
function v1NetworkName(chainId: number): string {
  if (chainId === 84532) return 'base-sepolia'
  if (chainId === 8453) return 'base'
  throw new RangeError(`The test facilitator has no x402 v1 name for chain ${chainId}.`)
}

function createSigner(chain: Chain, confirmationTimeoutMs: number) {
  const account = privateKeyToAccount(FACILITATOR_PRIVATE_KEY)
  const client = createWalletClient({
    account,
    chain: viemChain(chain.rpcUrl, chain.chainId),
    transport: http(chain.rpcUrl),
    pollingInterval: 20,
  }).extend(publicActions)
  const inTurn = turnOn(chain)
  const signer = toFacilitatorEvmSigner(
    {
      address: account.address,
      getCode: client.getCode,
      readContract: client.readContract,
      verifyTypedData: parameters =>
        client.verifyTypedData(parameters as VerifyTypedDataParameters), // types are looser there
      writeContract: parameters => inTurn(() => client.writeContract(parameters)),
      sendTransaction: parameters => inTurn(() => client.sendTransaction(parameters)),
      waitForTransactionReceipt: client.waitForTransactionReceipt,
    },
    { confirmationTimeoutMs },
  )
  const land = async (hash: Hex): Promise<Hex> => {
    await client.waitForTransactionReceipt({ hash })
    return hash
  }
  const sendOne = async (transaction: Hex | SponsoredCall): Promise<Hex> => {
    if (typeof transaction !== 'string') return land(await client.sendTransaction(transaction))
    const serializedTransaction = transaction as TransactionSerialized // the payer's, verified
    const { gas = 0n, maxFeePerGas = 0n } = parseTransaction(serializedTransaction)
    const to = await recoverTransactionAddress({ serializedTransaction })
    await land(await client.sendTransaction({ to, value: gas * maxFeePerGas }))
    return land(await client.sendRawTransaction({ serializedTransaction }))
  }
  const sendTransactions = (transactions: (Hex | SponsoredCall)[]): Promise<Hex[]> =>
    inTurn(async () => {
      const hashes: Hex[] = []
      for (const transaction of transactions) hashes.push(await sendOne(transaction))
      return hashes
    })
  return { signer, sponsor: { ...signer, sendTransactions } }
}

interface SponsoredCall {
  readonly to: Hex
  readonly data: Hex
  readonly gas?: bigint
}

/**
 * All facilitators of a chain send with one key, so one after the other: a transaction whose gas
 * cannot be estimated would leave a hole in nonces that were handed out in advance, and every later
 * settlement would wait behind it.
 */
function turnOn(chain: Chain): ReturnType<typeof createQueue> {
  const known = turns.get(chain) ?? createQueue()
  turns.set(chain, known)
  return known
}

const turns = new WeakMap<Chain, ReturnType<typeof createQueue>>()

/** Runs tasks one at a time, in the order in which they came. */
function createQueue() {
  let last: Promise<unknown> = Promise.resolve()
  return <Result>(task: () => Promise<Result>): Promise<Result> => {
    const result = last.then(task)
    last = result.catch(() => undefined)
    return result
  }
}

function operationOf(request: IncomingMessage): Operation | null {
  const path = request.url?.replace(/\?.*$/, '')
  if (request.method === 'GET' && path === '/supported') return 'supported'
  if (request.method === 'POST' && path === '/verify') return 'verify'
  if (request.method === 'POST' && path === '/settle') return 'settle'
  return null
}

async function perform(
  facilitator: x402Facilitator,
  operation: Operation,
  body: unknown,
): Promise<Answer> {
  if (operation === 'supported') return { status: 200, body: facilitator.getSupported() }
  if (!isPaymentRequest(body)) return { status: 400, body: { error: 'Missing payment' } }
  const { paymentPayload, paymentRequirements } = body
  const answer = await facilitator[operation](paymentPayload, paymentRequirements)
  return { status: 200, body: answer }
}

type PaymentPayload = Parameters<x402Facilitator['verify']>[0]
type PaymentRequirements = Parameters<x402Facilitator['verify']>[1]

/** As much as the published facilitator checks itself: it looks into the two objects on its own. */
function isPaymentRequest(
  body: unknown,
): body is { paymentPayload: PaymentPayload; paymentRequirements: PaymentRequirements } {
  if (typeof body !== 'object' || body === null) return false
  return 'paymentPayload' in body && 'paymentRequirements' in body
}

/** What a facilitator built on the published library answers when the library throws. */
function failure(error: unknown): Answer {
  return { status: 500, body: { error: error instanceof Error ? error.message : String(error) } }
}

function send(response: ServerResponse, answer: Answer): void {
  if (answer === 'hang-up') {
    response.destroy()
    return
  }
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
  response.end(text)
}
