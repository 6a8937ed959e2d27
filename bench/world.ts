import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configureFarebox, type FareboxFiles, type FareboxOptions } from './farebox.ts'
import { freePort, type MeasuredProcess, startMeasured } from './measured-process.ts'

/** The API, the facilitator, a folder for files, and everything that was started. */
export interface World {
  readonly folder: string
  /** Base URLs. */
  readonly api: string
  readonly facilitator: string
  /** Starts a script of contestants/; its first parameter is the port to listen on. */
  start(script: string, ...parameters: readonly string[]): Promise<MeasuredProcess>
  startFarebox(options?: FareboxParts): Promise<MeasuredProcess>
  configureFarebox(options?: FareboxParts): Promise<FareboxFiles>
  /** Stops what was started since the last call, but not the API and the facilitator. */
  stopContestants(): Promise<void>
  close(): Promise<void>
}

export type FareboxParts = Pick<FareboxOptions, 'store' | 'routes' | 'workers' | 'trustedProxies'>

const CONTESTANTS = join(import.meta.dirname, 'contestants')

/** @param richPayer The only one who has money. Default: everybody has. */
export async function openWorld(richPayer?: string): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'farebox-bench-'))
  const [apiPort, facilitatorPort] = [await freePort(), await freePort()]
  const api = `http://127.0.0.1:${apiPort}`
  const facilitator = `http://127.0.0.1:${facilitatorPort}`
  const backend = await startMeasured({
    program: [join(CONTESTANTS, 'backend.ts'), String(apiPort), String(facilitatorPort)].concat(
      richPayer ?? [],
    ),
    port: facilitatorPort,
    outputFile: join(folder, 'backend.log'),
  })
  const running: MeasuredProcess[] = []
  const run = async (options: Parameters<typeof startMeasured>[0]) => {
    const started = await startMeasured(options)
    running.push(started)
    return started
  }
  const configure = (parts: FareboxParts = {}) =>
    configureFarebox({ folder, upstream: api, facilitator, ...parts })
  const stopContestants = async (): Promise<void> => {
    await Promise.all(running.splice(0).map(one => one.stop()))
  }
  return {
    folder,
    api,
    facilitator,
    async start(script, ...parameters) {
      const port = await freePort()
      const program = [join(CONTESTANTS, script), String(port), ...parameters]
      return run({ program, port, outputFile: join(folder, `${script}.log`) })
    },
    startFarebox: async parts => run(await configure(parts)),
    configureFarebox: configure,
    stopContestants,
    async close() {
      await stopContestants()
      await backend.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
