import {
  type Address,
  createPublicClient,
  custom,
  erc20Abi,
  type Hex,
  type PublicClient,
} from 'viem'
import type { LocalFacilitatorConfig } from '../../config/gateway-config.ts'
import { FacilitatorUnavailableError } from '../../errors.ts'
import type { ChainReader } from '../../networks/chain-reader.ts'
import type { Chains } from '../../networks/chains.ts'
import type { Network } from '../../networks/registry.ts'
import type { GatewayObserver } from '../../observe/events.ts'
import { ChainAccess } from './chain-access.ts'
import { GasLimits } from './gas-limits.ts'
import { GasTank } from './gas-tank.ts'
import type { KeySender } from './key-sender.ts'
import type { Outgoing } from './outgoing.ts'
import type { SharedSenders } from './shared-senders.ts'
import { createSigner } from './signer.ts'

/** Blocks until a transaction is taken to stay, where the network's data do not say. */
const FINALITY_BLOCKS = 64

export interface DeskOptions {
  readonly config: LocalFacilitatorConfig
  readonly network: Network
  readonly chains: Chains
  readonly senders: SharedSenders
  readonly observer: Pick<GatewayObserver, 'gasBalanceRead' | 'gasSpent'>
}

/** Everything that sends on one network: its nodes, and a sender for each key. */
export class Desk {
  readonly addresses: readonly Address[]
  readonly client: PublicClient
  readonly reader: ChainReader
  readonly #gas: GasLimits
  readonly #senders: readonly KeySender[]
  readonly #shared: SharedSenders
  readonly #coming = new Map<KeySender, number>()

  static async open(options: DeskOptions): Promise<Desk> {
    const pool = await options.chains.pool(options.network)
    const client = createPublicClient({
      transport: custom(
        { request: ({ method, params = [] }) => pool.request(method, params) },
        { retryCount: 0 },
      ),
    })
    const feeCap = options.config.networks.find(({ id }) => id === options.network.id)?.feeCap ?? 0n
    return new Desk(options, client, new ChainAccess(pool, feeCap))
  }

  private constructor(options: DeskOptions, client: PublicClient, chain: ChainAccess) {
    const { config, network, chains, senders } = options
    this.client = client
    this.reader = chains.reader(network)
    this.#shared = senders
    this.#gas = new GasLimits(chain, config.gasMax)
    this.#senders = config.keys.map(key => {
      const signer = createSigner(key)
      const { observer } = options
      return senders.take(config.journal, network.id, {
        ...{ chain, signer },
        tank: new GasTank({ network: network.id, address: signer.address, chain, observer }),
        finality: network.finality ?? FINALITY_BLOCKS,
        replaceAfterMs: config.replaceAfterMs,
      })
    })
    this.addresses = this.#senders.map(({ address }) => address)
  }

  find(purpose: string): Outgoing | null {
    for (const sender of this.#senders) {
      const known = sender.find(purpose)
      if (known !== null) return known
    }
    return null
  }

  /**
   * Sends a call through the key that has least to do, or through the next one where that one
   * cannot. What is under way for the same purpose already is not sent again.
   *
   * @returns Null when it would revert: nothing was sent.
   */
  async send(purpose: string, to: Address, data: Hex): Promise<Outgoing | null> {
    const known = this.find(purpose)
    if (known !== null) return known
    let failure: unknown = new Error('A local facilitator without keys.')
    const load = (sender: KeySender): number => sender.openCount + (this.#coming.get(sender) ?? 0)
    for (const sender of this.#senders.toSorted((one, other) => load(one) - load(other))) {
      this.#count(sender, 1)
      try {
        const gas = await this.#gas.limitFor({ from: sender.address, to, data })
        return gas === null ? null : await sender.send({ purpose, to, data, gas })
      } catch (error) {
        if (!(error instanceof FacilitatorUnavailableError)) throw error
        failure = error
      } finally {
        this.#count(sender, -1)
      }
    }
    throw failure
  }

  /** In atomic units. */
  balanceOf(token: string, account: string): Promise<bigint> {
    const args = [account as Address] as const // a schema has checked both
    const address = token as Address // see above
    return this.client.readContract({ address, abi: erc20Abi, functionName: 'balanceOf', args })
  }

  close(): Promise<void> {
    return this.#shared.giveBack(this.#senders)
  }

  /** Those that are simulated count as well, or all that come at once would choose the same key. */
  #count(sender: KeySender, change: 1 | -1): void {
    this.#coming.set(sender, (this.#coming.get(sender) ?? 0) + change)
  }
}
