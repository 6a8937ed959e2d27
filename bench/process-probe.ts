/**
 * Preloaded into every process that is measured. It answers its parent with what all threads have
 * used so far, to the microsecond; profiles between two messages; and never outlives its parent.
 */
import cluster from 'node:cluster'
import { Session } from 'node:inspector/promises'

let session: Session | null = null

const answers: Readonly<Record<string, () => Promise<unknown>>> = {
  cpu: async () => process.cpuUsage(),
  async 'start profile'() {
    session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: 200 })
    await session.post('Profiler.start')
    return null
  },
  async 'stop profile'() {
    const stopped = await session?.post('Profiler.stop')
    session?.disconnect()
    return stopped?.profile ?? null
  },
}

process.on('message', message => {
  void answers[String(message)]?.().then(answer => process.send?.(answer))
})
process.once('disconnect', () => process.exit())
// A program that has nothing left to do must still be able to end by itself.
// A worker of a cluster lives by its channel.
if (cluster.isPrimary) process.channel?.unref()
