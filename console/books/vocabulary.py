"""The words that may stand in a cell: an office's own word enters, the stored one leaves; Chinese and English say the same.

Only words that can mean one thing in their column stand here: ``大门`` may be a home's door or the gate, and the card
of an owner may be that of somebody who does not live there. Those are refused with the list of what may be written.
"""

from __future__ import annotations

from collections.abc import Mapping

_Words = Mapping[str, tuple[str, ...]]

#: What a contact may be called in place of ``family``; it is kept as what she is to the resident.
KIN = frozenset((
    "女儿", "儿子", "子女", "配偶", "老伴", "妻子", "丈夫", "儿媳",
    "女婿", "孙子", "孙女", "外孙", "外孙女", "哥哥", "弟弟", "姐姐",
    "妹妹", "侄子", "侄女", "外甥", "外甥女", "父亲", "母亲",
))  # fmt: skip
FLAGS: _Words = {
    "true": ("是", "有", "√", "✓", "对", "yes", "y"),
    "false": ("否", "无", "×", "✗", "没有", "不是", "no", "n"),
}
#: By book and column, each stored word with what else says it; the first is the one a template offers in Chinese.
WORDS: Mapping[tuple[str, str], _Words] = {
    ("devices", "kind"): {
        "controller": ("门禁控制器", "门禁", "门禁机", "控制器"),
        "contact": ("门磁", "门磁传感器", "门磁感应器"),
        "motion": ("人体感应", "人体传感器", "人体感应器", "红外感应"),
        "water": ("水表",),
        "gateway": ("网关",),
        "other": ("其他", "其它"),
    },
    ("households", "tenure"): {
        "owner": ("自住", "自有", "业主", "业主自住", "自住房"),
        "rented": ("出租", "租赁", "租住", "租客", "租户", "出租房", "出租屋"),
        "vacant": ("空置", "空房", "空关", "空置房", "无人居住"),
        "collective": ("集体", "集体宿舍", "宿舍", "集体户"),
    },
    ("household_doors", "role"): {
        "dwelling": ("入户门", "户门", "家门", "自家门"),
        "shared": ("单元门", "公共门", "公用门", "楼道门", "小区门", "小区大门"),
    },
    ("persons", "relation"): {
        "resident": ("住户", "居民", "居民本人", "本人", "老人", "独居老人", "租客", "租户"),
        "family": ("家属", "家人", "亲属", *sorted(KIN)),
        "helper": ("上门的人", "帮扶人", "志愿者", "邻居", "邻里互望员"),
        "staff": ("工作人员", "员工", "物业", "物业人员"),
    },
    ("persons", "category"): {
        "living_alone": ("独居", "独居老人"),
        "disabled": ("残疾", "残疾人"),
        "severely_disabled": ("重度残疾", "重残"),
        "left_behind_child": ("留守儿童",),
    },
    ("persons", "hard_of_hearing"): FLAGS,
    ("persons", "language"): {
        "zh": ("中文", "汉语", "普通话", "chinese"),
        "en": ("英文", "英语", "english"),
    },
    ("contacts", "role"): {
        "family": ("家属", "家人", "亲属", *sorted(KIN)),
        "neighbour_watcher": ("邻里互望员", "互望员", "邻居"),
        "stairwell_liaison": ("楼道联络员", "联络员"),
        "safety_guardian": ("安全守护员", "守护员"),
        "grid_worker": ("网格员",),
    },
    ("credentials", "class"): {
        "resident": ("住户", "住户卡", "居民", "本人"),
        "family": ("家属", "家属卡", "亲属", "家人"),
        "staff": ("工作人员", "工作人员卡", "员工", "员工卡"),
        "guard": ("保安", "保安卡"),
        "visitor": ("访客", "访客卡", "临时卡"),
    },
    ("consents", "purpose"): {
        "watch": ("看护", "看护门的开关", "关爱"),
        "notify_family": ("通知家属", "告知家属"),
        "share_with_police": ("告知民警", "提前告知民警"),
        "exact_times": ("显示确切时间", "给家属看具体时间"),
        "early_watch": ("早期看护", "室内早期看护"),
        "visit_photo": ("走访拍照", "上门走访拍照"),
    },
    ("absences", "reason"): {
        "travel": ("外出", "旅行", "旅游", "出差"),
        "hospital": ("住院", "医院"),
        "relatives": ("住亲戚家", "走亲", "走亲戚", "探亲", "住女儿家", "住儿子家", "住子女家"),
        "other": ("其他", "其它"),
    },
}  # fmt: skip
#: Columns of free words, of which a few are known: another is stored as it stands.
OPEN = frozenset({("persons", "category")})

_STORED = {
    place: {word: stored for stored, others in words.items() for word in (stored, *others)}
    for place, words in WORDS.items()
}


def stored_word(book: str, column: str, cell: str) -> str:
    """Return the word that is stored for what stands in a cell, or the cell where none is known."""
    return _STORED.get((book, column), {}).get(cell.strip().lower(), cell)


def offered(book: str, column: str) -> str:
    """Say what may be written into a column of words, each with its Chinese; empty where anything may."""
    words = {} if (book, column) in OPEN else WORDS.get((book, column), {})
    return ", ".join(f"'{stored}' ({others[0]})" for stored, others in words.items())
