"""The titles a column may have: a cell of a header enters, the column's name leaves; Chinese and English say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: By column; no two columns of one book share a title.
TITLES: Mapping[str, tuple[str, ...]] = {
    "id": ("编号",), "name": ("名称", "姓名", "住户姓名", "居民姓名", "老人姓名"), "zone": ("时区",), "commissioning_s": ("启用期限(秒)",),
    "community_id": ("社区编号",), "site_id": ("小区编号",), "household_id": ("住户编号",),
    "device_id": ("设备编号",), "person_id": ("人员编号",), "gateway_id": ("网关编号",),
    "x_m": ("横向位置(米)",), "y_m": ("纵向位置(米)",), "width_m": ("宽度(米)",), "depth_m": ("进深(米)",),
    "turn_deg": ("转角(度)",), "kind": ("设备类型",), "model": ("型号",), "place": ("安装位置",),
    "heartbeat_s": ("心跳间隔(秒)",), "supervision_s": ("失联期限(秒)",), "registered_at": ("登记时间",),
    "retired_at": ("停用时间",), "label": ("门牌", "门牌号"),
    "building": ("楼栋", "楼栋号", "楼号", "栋号", "幢号", "栋", "幢"), "unit": ("单元", "单元号"), "floor": ("楼层", "所在楼层", "层"),
    "room": ("房号", "房间号", "室号", "房间", "室"), "grid": ("网格", "所属网格"), "tenure": ("房屋性质",), "policy_id": ("关爱规则",),
    "watched_from": ("关爱起始时间",), "role": ("用途", "角色"), "from_at": ("开始时间",), "to_at": ("结束时间",),
    "relation": ("人员类型",), "category": ("关爱类别", "人员类别", "老人类别"), "birth_year": ("出生年份", "出生年"),
    "hard_of_hearing": ("听力障碍",), "language": ("语言",), "phone": ("电话", "手机", "手机号", "手机号码", "联系电话", "电话号码", "联系方式"),
    "position": ("顺序",), "relation_words": ("关系", "与住户关系", "与老人关系", "与本人关系", "家属关系", "家属1关系", "关系1"), "available_from": ("可接听起",),
    "available_until": ("可接听止",), "answer_within_s": ("应答时限(秒)",), "token": ("卡标识",),
    "class": ("卡类别",), "valid_from": ("生效时间",), "valid_to": ("失效时间",), "purpose": ("目的",),
    "given_by": ("同意人",), "given_at": ("同意时间",), "withdrawn_at": ("撤回时间",), "reason": ("原因",),
    "declared_by": ("报备人",), "declared_at": ("报备时间",), "revoked_at": ("取消时间",),
    "site": ("小区", "小区名称", "所属小区"), "lives_alone": ("是否独居", "独居"),
    "relative_name": (
        "家属姓名", "家属", "亲属姓名", "子女姓名", "紧急联系人", "紧急联系人姓名", "联系人", "联系人姓名", "家属1姓名", "家属姓名1", "监护人",
        "监护人姓名",
    ),
    "relative_phone": (
        "家属电话", "家属手机", "家属手机号", "家属联系电话", "家属联系方式", "亲属电话", "子女电话", "子女联系电话", "紧急联系电话",
        "紧急联系人电话", "紧急联系方式", "联系人电话", "家属1电话", "家属电话1", "监护人电话",
    ),
    "other_relative_name": ("家属2姓名", "家属姓名2", "家属2", "第二联系人", "第二联系人姓名", "紧急联系人2"),
    "other_relative_phone": ("家属2电话", "家属电话2", "第二联系人电话", "紧急联系人2电话", "紧急联系电话2"),
    "other_relation_words": ("家属2关系", "关系2", "第二联系人关系"),
    "occupants": ("登记人数",), "registration": ("登记情况",), "recorded_at": ("记录时间",),
}  # fmt: skip

#: By book: what its sheet may be called.
SHEETS: Mapping[str, str] = {
    "communities": "社区", "sites": "小区", "buildings": "楼栋", "devices": "设备", "households": "住户",
    "household_doors": "门", "persons": "人员", "contacts": "联系人", "credentials": "门卡", "consents": "同意",
    "absences": "外出", "leases": "租约",
}  # fmt: skip

_COLUMNS = {title: column for column, titles in TITLES.items() for title in titles}
_BOOKS = {title: book for book, title in SHEETS.items()}
_NARROW = str.maketrans("（）＊", "()*")
#: Sheets that explain and hold no book.
NOTES = ("说明", "read me")
_RUNNING = frozenset({"序号", "行号", "no", "no.", "#"})
#: What lists of offices have beside, and no book keeps.
_NEVER_KEPT = frozenset({
    "性别", "年龄", "民族", "籍贯", "婚姻状况", "政治面貌", "文化程度", "学历", "职业", "备注", "说明", "签名", "签字", "填表人",
    "sex", "gender", "age", "remarks", "remark", "notes", "note", "signature",
})  # fmt: skip
#: What a column of a list may not be passed over for: somebody's telephone, or where somebody lives.
_MATTERS = re.compile(
    r"电话|手机|号码|联系|姓名|家属|亲属|子女|监护|楼|栋|幢|单元|房|室|门牌|地址|住址|phone|tel|mobile|name|address|room",
    re.IGNORECASE,
)
_CITIZENS = ("身份证", "公民身份", "证件号", "idcard", "idnumber", "citizen")


def column_of(cell: str) -> str:
    """Return the column a header's cell names, or the cell in lower case where it names none.

    A star that says that a column must be filled in is no part of its title.
    """
    return _COLUMNS.get(_bare(cell), cell.strip().strip("*＊").strip().lower())


def is_running_number(cell: str) -> bool:
    """Say whether a header's cell names a column that only numbers the lines."""
    return _bare(cell) in _RUNNING


def is_never_kept(cell: str) -> bool:
    """Say whether a header's cell names what is of no use here and is left unread."""
    return _bare(cell) in _NEVER_KEPT


def may_matter(cell: str) -> bool:
    """Say whether a header's cell that names no column may still be about who somebody is, where, and how she is reached."""
    return _MATTERS.search(_bare(cell)) is not None


def is_citizens_number(cell: str) -> bool:
    """Say whether a header's cell asks for citizens' numbers."""
    bare = re.sub(r"[_-]", "", _bare(cell))
    return any(words in bare for words in _CITIZENS)


def _bare(cell: str) -> str:
    return "".join(cell.translate(_NARROW).split()).lower().strip("*")


def book_of(title: str) -> str:
    """Return the book a sheet or a file is called after, or its title in lower case."""
    bare = title.strip()
    return _BOOKS.get(bare, bare.lower())
