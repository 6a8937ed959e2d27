import { type Clock, type Timer, unixMs } from '../../src/core/time.ts'
import { FareboxError } from '../../src/errors.ts'
import { startDeliveryRecord } from '../../src/flow/delivery-record.ts'
import { type Force, openForce } from '../../src/flow/force.ts'
import { handleRequest } from '../../src/flow/handle-request.ts'
import { startHoldRenewal } from '../../src/flow/hold-renewal.ts'
import type { House } from '../../src/flow/house.ts'
import { openHouse } from '../../src/flow/open-house.ts'
import { attemptMsMax, type Recovery, startRecovery } from '../../src/flow/recovery.ts'
import { createSettlementWatch } from '../../src/flow/settlement-watch.ts'
import { createTunnels } from '../../src/flow/websocket/tunnels.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { ledgerOver } from '../../src/ledger/sqlite.ts'
import type { ChainReader } from '../../src/networks/chain-reader.ts'
import { combineObservers, type GatewayObserver } from '../../src/observe/events.ts'
import { createUpstreamSet } from '../../src/upstream/upstream-set.ts'
import { createPaymentEngine } from '../../src/x402/payment-engine.ts'
import type { Chain } from './chain.ts'
import type { Disk, SimulatedThread } from './disk.ts'
import { type Asked, SimulatedExchange } from './exchange.ts'
import { type FacilitatorService, SUPPORTED } from './facilitator.ts'
import type { Invariants } from './invariants.ts'
import type { Plan } from './plan.ts'
import { Process } from './process.ts'
import { NETWORK, shopConfig } from './shop.ts'
import type { UpstreamService } from './upstream.ts'
import type { World } from './world.ts'

export interface Surroundings {
  readonly world: World
  readonly plan: Plan
  readonly chain: Chain
  readonly disk: Disk
  readonly facilitator: FacilitatorService
  readonly upstream: UpstreamService
  readonly invariants: Invariants
}

/** Few, so that the bound is met. */
const WAITING_MAX = 2

/** What `src/gateway.ts` puts together, over simulated surroundings. */
interface Run {
  readonly process: Process
  readonly force: Force
  readonly house: House
  readonly ledger: Ledger
  readonly recovery: Recovery
  readonly thread: SimulatedThread
  readonly open: Map<string, SimulatedExchange>
}

/** One gateway of the shop, which may crash and be started again. */
export class SimulatedGateway {
  readonly name: string
  readonly #around: Surroundings
  readonly #clock: Clock
  #run: Run | null = null
  #runs = 0
  /** How far its machine's clock is off. */
  offsetMs = 0

  constructor(name: string, around: Surroundings) {
    this.name = name
    this.#around = around
    this.#clock = () => unixMs(around.world.now() + this.offsetMs)
  }

  get isUp(): boolean {
    return this.#run !== null
  }

  /** Requests and calls to the store that have not ended. */
  get unfinished(): number {
    return (this.#run?.open.size ?? 0) + (this.#run?.thread.waiting ?? 0)
  }

  async start(): Promise<void> {
    const { world, disk } = this.#around
    const process = new Process(`${this.name}.${++this.#runs}`, world)
    process.tell('starts')
    const thread = disk.threadOf(process)
    const ledger = ledgerOver(thread, { path: ':memory:', clock: this.#clock })
    const force = await this.#bringIntoForce(process)
    const observer = this.#observe(process)
    const timer: Timer = (callback, milliseconds) => process.after(milliseconds, callback)
    const settlements = createSettlementWatch(WAITING_MAX, timer)
    const recovery = startRecovery({
      ...{ ledger, observer, clock: this.#clock, random: world.random.next, timer },
      resolved: settlements.tell,
      chain: network => (network === NETWORK ? this.#chainOf(process) : null),
      async resettle(stored) {
        const { value, leave } = force.enter()
        return value.snapshot.engine.resettle(stored).finally(leave)
      },
      attemptMsMax: () => attemptMsMax(force.current.config),
      retentionMs: () => force.current.config.store.retentionMs,
    })
    const { wake: claimLeftOpen } = recovery
    const clock = this.#clock
    const reportError = (error: unknown): void => observer.errorReported({ error, requestId: null })
    const around = { ledger, clock, timer, random: world.random.next, reportError }
    const holds = startHoldRenewal(around)
    const deliveries = startDeliveryRecord(around)
    const tunnels = createTunnels({ observer, clock })
    const parts = { force, ledger, observer, clock, holds, deliveries, tunnels }
    const house = openHouse({ ...parts, claimLeftOpen, settlements })
    this.#run = { process, force, house, ledger, recovery, thread, open: new Map() }
  }

  /** As SIGKILL does it. */
  crash(): void {
    const run = this.#run
    if (run === null) return
    run.process.tell('CRASHES')
    run.process.alive = false
    this.#run = null
    for (const exchange of run.open.values()) exchange.disconnect()
    run.thread.exit()
  }

  /** As SIGTERM does it, once no request is open. */
  async stop(): Promise<void> {
    const run = this.#run
    if (run === null) return
    run.process.tell('stops')
    await run.house.deliveries.close()
    await run.house.holds.close()
    await run.recovery.close()
    await run.force.close()
    await run.ledger.close()
    this.#run = null
  }

  /** Puts the same configuration into force again. */
  async reload(): Promise<void> {
    this.#run?.process.tell('reloads its configuration')
    await this.#run?.force.apply(structuredCloneOf(this.#run.force))
  }

  /** Null while it is down. */
  accept(asked: Asked): SimulatedExchange | null {
    const run = this.#run
    if (run === null) return null
    const { invariants } = this.#around
    const exchange = new SimulatedExchange(asked, run.process, invariants)
    const { requestId } = exchange
    run.process.tell(`gets request ${requestId}: ${asked.target} with ${asked.payment.name}`)
    run.open.set(requestId, exchange)
    invariants.requestBegun(asked)
    void handleRequest(exchange, run.house).then(
      () => {
        run.open.delete(requestId)
        invariants.requestEnded(asked)
      },
      (error: unknown) => invariants.unexpected(`a request rejects: ${String(error)}`),
    )
    return exchange
  }

  async #bringIntoForce(process: Process): Promise<Force> {
    const { facilitator, upstream, plan } = this.#around
    const engine = createPaymentEngine(
      [{ facilitator: facilitator.clientOf(process), supported: SUPPORTED }],
      { networkOf: () => null },
    )
    return openForce(shopConfig(plan.hasNode ? ['http://node.invalid'] : []), {
      clock: this.#clock,
      upstreams: createUpstreamSet(() => upstream.clientOf(process)),
      access: { compile: () => new Map() },
      openPayments: () => ({
        ...{ engine: () => engine, facilitators: [], silent: () => [] },
        firstRound: Promise.resolve(),
        close: async () => {},
      }),
    })
  }

  #chainOf(process: Process): ChainReader | null {
    const { chain, plan } = this.#around
    if (!plan.hasNode) return null
    const reader = chain.reader(process.name)
    return { look: (transfer, hints) => process.ask(() => reader.look(transfer, hints)) }
  }

  #observe(process: Process): GatewayObserver {
    const { invariants } = this.#around
    return combineObservers({
      claimResolved: ({ outcome, reason }) => process.tell(`resolver: ${outcome}, ${reason}`),
      errorReported: ({ error }) => {
        if (!process.alive) return
        const code = error instanceof FareboxError ? error.code : null
        process.tell(`reports ${code ?? String(error)}`)
        invariants.reported(code, error)
      },
    })
  }
}

function structuredCloneOf({ current }: Force): Force['current']['config'] {
  return { ...current.config }
}
