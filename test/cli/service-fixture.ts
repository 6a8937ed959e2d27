/** Run by serve-until-stopped.test.ts in its own process: a service that says what it hears. */
import { createOutput } from '../../src/cli/output.ts'
import { serveUntilStopped } from '../../src/cli/serve-until-stopped.ts'

const say = (text: string) => process.stdout.write(`${text}\n`)
const [, , closing] = process.argv

const served = await serveUntilStopped(
  async () => ({
    async reload() {
      say('reload')
      throw new Error('the reload failed')
    },
    async close() {
      say('close')
      if (closing === 'never') await new Promise(resolve => setTimeout(resolve, 60_000))
      say('closed')
    },
  }),
  {
    output: createOutput({ json: true }, process),
    onStarted: async () => {
      say('started')
      // Something that nobody closes: it may not keep the process alive.
      setInterval(() => undefined, 60_000)
    },
  },
)
say(served.kind)
