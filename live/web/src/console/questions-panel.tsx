import { formatTime } from "../shared/clock";
import { CheckIcon, ReplyIcon, UndoIcon } from "../shared/icons";
import { language } from "../shared/words";
import { Composer } from "./composer";
import { useDesk } from "./context";
import { Empty, GhostMark, ProblemLine } from "./parts";
import type { Question } from "./questions";
import "./questions.css";
import { questionsWords } from "./questions-words";

const p = questionsWords.t;

/** What viewers ask, unanswered first. */
export function QuestionsPanel() {
  const desk = useDesk();
  const list = desk.questions.value?.sorted() ?? [];
  const waiting = list.filter((one) => !one.isAnswered).length;
  const problem = desk.moderation.problem.value;
  return (
    <div class="questions" data-testid="questions">
      {list.length > 0 && <p class="panel-note num">{waiting ? p("waiting", { n: waiting }) : p("none_waiting")}</p>}
      <div class="questions-rows" tabIndex={0} role="region" aria-label={p("waiting", { n: waiting })}>
        {list.length === 0 && <Empty title={p("empty")} hint={p("empty_hint")} />}
        <ul>
          {list.map((question) => (
            <Row key={question.comment.id} question={question} />
          ))}
        </ul>
      </div>
      {problem && <ProblemLine text={problem} onDismiss={() => (desk.moderation.problem.value = null)} />}
      <Composer />
    </div>
  );
}

function Row({ question: { comment, isAnswered } }: { question: Question }) {
  const desk = useDesk();
  const isBusy = desk.runner.isBusy(`comment:${comment.id}`);
  const mark = p(isAnswered ? "unmark" : "mark");
  return (
    <li class={`question ${isAnswered ? "is-answered" : ""}`} data-testid="question" data-answered={isAnswered}>
      <p>
        <time class="line-time num">{formatTime(comment.at_ms, language.value, false)}</time> <b>{comment.name}</b>
        {comment.ghost && <GhostMark />} {comment.text}
        {isAnswered && <em class="question-answered">{p("answered")}</em>}
      </p>
      {desk.may("moderate") && (
        <span class="question-actions">
          <button type="button" class="button button-small" data-testid="question-reply" onClick={() => desk.moderation.replyTo(comment)}>
            <ReplyIcon size={15} />
            {p("reply")}
          </button>
          <button type="button" class="mini" disabled={isBusy} aria-label={`${mark}: ${comment.name}`} title={mark} data-testid="question-mark" onClick={() => void desk.moderation.markAnswered(comment, !isAnswered)}>
            {isAnswered ? <UndoIcon size={16} /> : <CheckIcon size={16} />}
          </button>
        </span>
      )}
    </li>
  );
}
