"""What the watchdog says: a check enters, its title and how to mend it in both languages leave; never a person."""

from __future__ import annotations

from alerts.watchdog.rules import Check

_WORDS: dict[Check, dict[str, tuple[str, str]]] = {
    Check.CASE_WITHOUT_FUTURE: {
        "zh": ("有未结案件没有下一步", "立即在控制台打开这些案件,指派人员;然后查看 alerts 服务日志。"),
        "en": (
            "An open case has no next action",
            "Open these cases on the console now and give them to a person; then read the log of alerts.",
        ),
    },
    Check.NOBODY_ANSWERS: {
        "zh": ("有住户已到预警阶段却无人负责", "打开早间名单,逐户致电;然后查看 alerts 服务日志。"),
        "en": (
            "A household has reached a stage and nobody has a case of it",
            "Open the morning list and telephone them one by one; then read the log of alerts.",
        ),
    },
    Check.OUTBOX_WAITS: {
        "zh": ("消息迟迟没有发出", "在“通道”页面查看该通道;恢复之前请人工打电话。"),
        "en": (
            "Messages wait longer than they may",
            "Look at this channel on the page of channels; telephone people yourself until it works.",
        ),
    },
    Check.NOBODY_REACHED: {
        "zh": ("从这里联系不到任何人", "打印联系名单并人工打电话;检查网络和各通道。"),
        "en": (
            "Nobody can be reached from here",
            "Print the list of whom to call and telephone by hand; check the network and the channels.",
        ),
    },
    Check.SERVICE_STANDS: {
        "zh": ("服务没有完成新的一轮工作", "查看该服务是否运行、日志和数据库;必要时重新启动。"),
        "en": (
            "A service finishes no turn",
            "See whether it runs, read its log and look at the database; start it again if need be.",
        ),
    },
    Check.SERVICE_BEHIND: {
        "zh": ("服务落后于时钟", "查看处理器与磁盘负载和该服务日志。"),
        "en": ("A service is behind the clock", "Look at the load of processor and disk, and at its log."),
    },
    Check.LEASE_LOST: {
        "zh": ("没有接收进程在听这一组门", "启动 ingest,检查消息代理和数据库。"),
        "en": (
            "No ingest worker listens to a group of doors",
            "Start ingest; check the broker and the database.",
        ),
    },
    Check.CLOCK_WRONG: {
        "zh": ("时钟不一致", "在每台机器上检查时间同步(chronyc tracking)。"),
        "en": ("Clocks disagree", "Check time synchronisation on every machine (chronyc tracking)."),
    },
    Check.HAPPENING_WAITS: {
        "zh": ("已发现的情况没有被处理", "查看 alerts 服务是否运行及其日志。"),
        "en": ("What was noticed is not being handled", "See whether alerts runs, and read its log."),
    },
    Check.HAPPENING_SET_ASIDE: {
        "zh": ("有情况处理失败,被搁置", "查看 alerts 日志中的错误;人工核实相关案件。"),
        "en": (
            "Something could not be handled and is set aside",
            "Read the error in the log of alerts; look after the cases by hand meanwhile.",
        ),
    },
    Check.DATABASE_AWAY: {
        "zh": ("数据库没有应答", "检查数据库进程、磁盘空间和网络。"),
        "en": ("The database does not answer", "Check its process, its disk space and the network."),
    },
}


def title(check: Check, language: str) -> str:
    """Return what is the matter; ``language`` is zh or en."""
    return _WORDS[check][language][0]


def mend(check: Check, language: str) -> str:
    """Return how it is mended."""
    return _WORDS[check][language][1]
