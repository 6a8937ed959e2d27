/** Run in each worker process: a gateway that does what the primary asks of it. */
import { type OpenGateway, openGateway } from '../../gateway.ts'
import { createLogger } from '../../observe/log.ts'
import { failureFrom } from '../failure.ts'
import { logToPrimary } from './log-line.ts'
import type { Answer, Counted, Question, QuestionName, Questions, Told } from './messages.ts'
import { countInPrimary } from './shared-counts.ts'

type Answers = {
  readonly [Name in QuestionName]: (
    asked: Questions[Name]['asked'],
  ) => Promise<Questions[Name]['answer']>
}

let gateway: OpenGateway | null = null
const running = Promise.withResolvers<OpenGateway>()
// Whoever started us is told why; here nobody may be listening.
running.promise.catch(() => undefined)
let stopping: Promise<void> | null = null
const log = logToPrimary(send)
const sharedCounters = countInPrimary(counting => send(counting, () => undefined))

const answers: Answers = {
  async start({ worker, config }) {
    const logger = createLogger({ destination: log.stream, worker })
    try {
      // The primary has the admin listener.
      gateway = await openGateway(config, { logger, admin: null, sharedCounters })
      running.resolve(gateway)
      return { url: gateway.url }
    } catch (error) {
      running.reject(error)
      throw error
    }
  },
  async apply(config) {
    await (await running.promise).apply(config)
    return null
  },
  readiness: async () => atOnce().readiness(),
  metrics: async () => atOnce().metrics(),
  async stop() {
    await stop()
    return null
  },
}

/** A scrape does not wait for a start. */
function atOnce(): OpenGateway {
  if (gateway === null) throw new Error('The worker is starting.')
  return gateway
}

function stop(): Promise<void> {
  stopping ??= running.promise
    .then(
      open => open.close(),
      () => undefined,
    )
    .finally(() => log.flush())
  return stopping
}

async function answerTo({ id, name, asked }: Question): Promise<Answer> {
  try {
    const answer = await (answers[name] as (asked: unknown) => Promise<unknown>)(asked) // by name
    return { id, kind: 'answered', answer }
  } catch (error) {
    const { code, message, fix } = failureFrom(error)
    return { id, kind: 'failed', failure: { code, message, fix } }
  }
}

process.on('message', (question: Question | Counted) => {
  if ('kind' in question) return sharedCounters.hear(question)
  void answerTo(question).then(answer => {
    send(answer, () => {
      if (question.name === 'stop') process.exit()
    })
  })
})

/** Without a primary nobody hears us, and this process is about to end as well. */
function send(told: Told, sent: () => void): void {
  if (process.connected) process.send?.(told, undefined, undefined, () => sent())
  else sent()
}

// Whoever signals one worker alone wants it to finish what it does; it is replaced then. A terminal
// and a service manager signal all of us at once, and the primary asks the same of us anyway.
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => void stop().then(() => process.exit()))
}
// The primary reads the file for all.
process.on('SIGHUP', () => undefined)
