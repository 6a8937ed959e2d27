import type { Clock } from '../core/time.ts'
import type { GatewayObserver } from '../observe/events.ts'
import type { Facilitator } from './facilitator.ts'

type Operation = 'verify' | 'settle' | 'supported'

/** Reports what every call to a facilitator took and came to. */
export function observeFacilitator(
  facilitator: Facilitator,
  observer: GatewayObserver,
  clock: Clock,
): Facilitator {
  const observed = async <T>(
    operation: Operation,
    call: Promise<T>,
    outcomeOf: (answer: T) => string,
  ): Promise<T> => {
    const startedAt = clock()
    const report = (outcome: string): void =>
      observer.facilitatorAnswered({
        facilitator: facilitator.name,
        operation,
        outcome,
        durationMs: clock() - startedAt,
      })
    return call.then(
      answer => {
        report(outcomeOf(answer))
        return answer
      },
      (error: unknown) => {
        report('no_answer')
        throw error
      },
    )
  }
  return {
    name: facilitator.name,
    supported: () => observed('supported', facilitator.supported(), () => 'answered'),
    verify: (payload, requirements) =>
      observed('verify', facilitator.verify(payload, requirements), ({ isValid }) =>
        isValid ? 'valid' : 'invalid',
      ),
    settle: (payload, requirements) =>
      observed('settle', facilitator.settle(payload, requirements), ({ success }) =>
        success ? 'settled' : 'refused',
      ),
    close: () => facilitator.close(),
  }
}
