import { RpcRequestError } from 'viem'
import { z } from 'zod'
import { ChainUnavailableError } from './chain-reader.ts'
import { type Ask, connectNode, describeFailure, ImplausibleAnswer, proveChain } from './evm-rpc.ts'
import type { Network } from './registry.ts'

/** One JSON-RPC node of a pool. */
export interface RpcNode {
  /**
   * Waits for its turn first. Rejects when the node answers with an error, or not at all: never to
   * be logged as it is.
   */
  readonly ask: Ask
}

/** The nodes of one network. One that fails rests, and the others take over. */
export interface RpcPool {
  readonly network: Network
  /** Every node: first those that work, as the configuration orders them, then those that rest. */
  nodes(): readonly RpcNode[]
  /** A node has failed. */
  rest(node: RpcNode): void
  /**
   * Asks one node after the other until one answers. A refusal, such as a call that reverts, is an
   * answer: it rejects with `RpcRefusal`. Rejects with `ChainUnavailableError` when none answers.
   */
  request(method: string, params: readonly unknown[]): Promise<unknown>
  /** Asks all of them at once: what each answered or failed with, in the order of `nodes`. */
  requestAll(
    method: string,
    params: readonly unknown[],
  ): Promise<readonly PromiseSettledResult<unknown>[]>
}

/** A node's own answer that it does not do what was asked, such as a call that would revert. */
export class RpcRefusal extends RpcRequestError {
  /** The library wants a URL; it gets the network's name, because a URL may carry a key. */
  constructor(network: string, method: string, error: RpcRequestError) {
    const { code, data, details } = error
    super({ body: { method }, error: { code, data, message: details }, url: network })
  }
}

/** Questions that one node is asked at the same time; others wait for their turn. */
const IN_FLIGHT_MAX = 24
/** Questions that wait for one node; more are refused. */
const WAITING_MAX = 10_000
const REST_MS_FIRST = 2_000
const REST_MS_MAX = 60_000

export interface RpcPoolOptions {
  /** How long one question may take. Default 3,000. */
  readonly callMs?: number
}

/** @param network Its `rpc` must not be empty. The URLs are never logged. */
export function createRpcPool(network: Network, { callMs = 3_000 }: RpcPoolOptions = {}): RpcPool {
  const members = network.rpc.map(url => new Member(network, url, callMs))
  const nodes = (): Member[] => {
    const now = performance.now()
    const resting = members.filter(member => member.restsUntil > now)
    const working = members.filter(member => member.restsUntil <= now)
    return [...working, ...resting.sort((one, other) => one.restsUntil - other.restsUntil)]
  }
  return {
    network,
    nodes,
    rest: node => members.find(member => member === node)?.rest(),
    async request(method, params) {
      const failures: string[] = []
      for (const member of nodes()) {
        const answer = await member.try(method, params)
        if (answer.kind === 'result') return answer.result
        if (answer.kind === 'refusal') throw answer.refusal
        failures.push(answer.failure)
      }
      throw new ChainUnavailableError(network.name, failures.join('; '))
    },
    requestAll(method, params) {
      return Promise.allSettled(
        nodes().map(async member => {
          const answer = await member.try(method, params)
          if (answer.kind === 'result') return answer.result
          throw answer.kind === 'refusal'
            ? answer.refusal
            : new ChainUnavailableError(network.name, answer.failure)
        }),
      )
    },
  }
}

type NodeAnswer =
  | { readonly kind: 'result'; readonly result: unknown }
  | { readonly kind: 'refusal'; readonly refusal: RpcRefusal }
  | { readonly kind: 'failure'; readonly failure: string }

class Member implements RpcNode {
  /** By `performance.now()`. */
  restsUntil = 0
  readonly ask: Ask
  readonly #network: Network
  #failures = 0
  #inFlight = 0
  readonly #waiting: PromiseWithResolvers<void>[] = []
  #proof: Promise<void> | null = null

  constructor(network: Network, url: string, callMs: number) {
    this.#network = network
    const ask = connectNode(url, { callMs, retries: 0 })
    this.ask = async (method, params, answer) => {
      await this.#enter()
      try {
        return await ask(method, params, answer)
      } finally {
        this.#leave()
      }
    }
  }

  async try(method: string, params: readonly unknown[]): Promise<NodeAnswer> {
    try {
      await this.#prove()
      const result = await this.ask(method, params, z.unknown())
      this.#failures = 0
      return { kind: 'result', result }
    } catch (error) {
      const refused = findRefusal(error)
      if (refused !== null) {
        return { kind: 'refusal', refusal: new RpcRefusal(this.#network.name, method, refused) }
      }
      this.rest()
      return { kind: 'failure', failure: describeFailure(error) }
    }
  }

  /** The time-out of a question counts from when it leaves, not from when it is asked. */
  #enter(): Promise<void> {
    if (this.#inFlight < IN_FLIGHT_MAX) {
      this.#inFlight++
      return Promise.resolve()
    }
    if (this.#waiting.length >= WAITING_MAX) throw new ImplausibleAnswer('too many wait for it')
    const turn = Promise.withResolvers<void>()
    this.#waiting.push(turn)
    return turn.promise
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#inFlight--
    else next.resolve()
  }

  rest(): void {
    this.restsUntil = performance.now() + Math.min(REST_MS_MAX, REST_MS_FIRST * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 10)
    if (this.#failures < 2) return
    // It was no accident: those that wait for it would each wait for its time-out as well.
    for (const turn of this.#waiting.splice(0))
      turn.reject(new ImplausibleAnswer('it failed before'))
  }

  /** Asked once which chain it serves: another one would make every payment look unused. */
  #prove(): Promise<void> {
    this.#proof ??= proveChain(this.#network, this.ask).catch((error: unknown) => {
      this.#proof = null
      throw error
    })
    return this.#proof
  }
}

/**
 * The error that a node answered with, where it is about what was asked and not about the node.
 *
 * Source: JSON-RPC error codes of ethereum/execution-apis and EIP-1474; 3 is a call that reverts.
 */
function findRefusal(error: unknown): RpcRequestError | null {
  const found = causesOf(error).find(cause => cause instanceof RpcRequestError)
  if (!(found instanceof RpcRequestError)) return null
  const { code, data, details } = found
  if (code === 3 || code === -32_003) return found
  if (code === -32_000)
    return /limit|capacity|timeout|timed out|missing trie|header not/i.test(details) ? null : found
  const isRevert = code === -32_603 && (data !== undefined || /revert/i.test(details))
  return isRevert ? found : null
}

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = []
  for (let at = error; at instanceof Error && causes.length < 10; at = at.cause) causes.push(at)
  return causes
}
