import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { GatewayConfig, ListenAddress } from '../../config/gateway-config.ts'
import type { ConfigSource, Reloaded } from '../../config/source.ts'
import { unixMs } from '../../core/time.ts'
import { type ReadinessReport, refusedReload } from '../../flow/readiness.ts'
import { startAdmin } from '../../http/admin.ts'
import { combineObservers } from '../../observe/events.ts'
import { createLogger, type LoggerOptions } from '../../observe/log.ts'
import { createMetrics, type MetricReport } from '../../observe/metrics.ts'
import { createSummedMetrics } from '../../observe/summed-metrics.ts'
import { fareboxVersion } from '../../version.ts'
import { type Crew, startCrew } from './crew.ts'
import { countForWorkers } from './shared-counts.ts'
import { workerForks } from './worker-link.ts'

/** Several worker processes that answer as one gateway. */
export interface WorkersGateway {
  readonly url: string
  readonly adminUrl: string | null
  /** Resolves when a worker can not be kept running. */
  readonly failed: Promise<Error>
  reload(): Promise<Reloaded>
  close(): Promise<void>
}

/**
 * Starts `server.workers` processes and looks after them. This process serves the admin listener,
 * reads the configuration and writes the log for all of them, and no request passes through it.
 */
export async function startWorkers(
  source: ConfigSource,
  config: GatewayConfig,
  { log }: { readonly log: LoggerOptions['destination'] },
): Promise<WorkersGateway> {
  await using opened = new AsyncDisposableStack()
  const logger = createLogger({ destination: log })
  opened.defer(() => logger.close())
  const own = createMetrics({
    version: fareboxVersion(),
    countLedgerRows: null,
    facilitators: () => [],
  })
  const summed = createSummedMetrics()
  const observer = combineObservers(own.observer, logger.observer)
  let draining = false
  let problems: readonly string[] = []

  const crew = await startCrew(config, {
    fork: workerForks({
      relay: lines => logger.relay(lines),
      count: countForWorkers(() => unixMs(Date.now())),
    }),
    size: config.server.workers,
    listen: await withPort(config.server.listen),
    observer,
    onEnded: summed.forget,
  })
  let admin: Awaited<ReturnType<typeof startAdmin>> | null = null
  opened.defer(() => admin?.close())
  opened.defer(() => crew.stop())
  const pages = {
    metrics: async () =>
      summed.render(
        new Map<object, MetricReport | null>(await crew.askAll('metrics', null)).set(
          own,
          await own.report(),
        ),
      ),
    readiness: async () => sumReadiness(crew, { draining, problems }),
  }
  admin = config.admin && (await startAdmin({ listen: config.admin, ...pages }))
  opened.defer(() => {
    draining = true
  })
  opened.defer(() => source.close())

  const reload = source.reloadInto({
    inForce: () => crew.config,
    apply: next => crew.apply(next),
    reloaded(found) {
      problems = found
      observer.configReloaded({ ok: found.length === 0, problems: found })
    },
  })
  const running = opened.move()
  return {
    url: crew.url,
    adminUrl: admin?.url ?? null,
    failed: crew.failed,
    reload,
    close: () => running.disposeAsync(),
  }
}

/** Lets the system choose once for all workers, those that are started later included. */
async function withPort(listen: ListenAddress): Promise<ListenAddress> {
  if (listen.port !== 0) return listen
  const server = createServer().listen(listen)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  server.close()
  await once(server, 'close')
  return { host: listen.host, port }
}

/**
 * Ready while some worker takes requests and none that runs says that it should not: the others go
 * on while one is replaced, and a machine that was taken out for that would take them along.
 */
async function sumReadiness(
  crew: Crew,
  state: { readonly draining: boolean; readonly problems: readonly string[] },
): Promise<ReadinessReport> {
  const answers = await crew.askAll('readiness', null)
  const ready: boolean[] = []
  const missing: string[] = []
  const said = new Set<string>()
  for (const [number, link] of crew.members) {
    const report = link === null ? null : (answers.get(link) ?? null)
    if (report === null) missing.push(`worker ${number} does not answer, or is being replaced`)
    else ready.push(report.ready)
    for (const reason of report?.reasons ?? []) said.add(reason)
  }
  const drainingReasons = state.draining ? ['shutting down'] : []
  return {
    ready: !state.draining && ready.length > 0 && ready.every(Boolean),
    reasons: [...drainingReasons, ...said, ...missing, ...state.problems.map(refusedReload)],
  }
}
